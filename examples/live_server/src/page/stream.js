// A channel's response, read for as long as it lasts, and asked for again when it breaks off.

import { pause } from "./polling.js";

/** In milliseconds: how long it waits before it asks again. */
const SOONEST = 250;
const LATEST = 4000;
/** A response that is silent for so long while its channel goes on is asked for again. */
const SILENT_AFTER = 5000;

/** The answer to one request, if it is one that can be used. */
export async function ask(path, signal) {
  const answer = await fetch(path, { cache: "no-store", signal });
  if (answer.ok) return answer;
  await answer.body?.cancel();
  throw new Error(`${path}: ${answer.status}`);
}

export class Stream {
  #path;
  #begin;
  #stop;
  #reading;
  /** Whether it was no use. */
  #failed = false;
  /** Since when, and since which frame of the channel, nothing was heard. */
  #silent = { since: 0, sequence: undefined };

  /** `begin` is given each answer, and returns what takes its bytes and tells how many whole frames it has found. */
  constructor(path, begin) {
    this.#path = path;
    this.#begin = begin;
  }

  start() {
    if (this.#stop !== undefined) return;
    this.#stop = new AbortController();
    this.#follow(this.#stop.signal);
  }

  stop() {
    this.#stop?.abort();
    this.#stop = undefined;
  }

  /** Gives up what is read now, and asks again: later each time, if what came was no use. */
  restart(failed = false) {
    this.#failed = failed;
    this.#reading?.abort();
  }

  /** To be called a few times a second with the number of the channel's newest frame, and how long one lasts. */
  watch(sequence, length) {
    const now = performance.now();
    const silent = this.#silent;
    if (this.#stop === undefined || silent.sequence === undefined) {
      this.#silent = { since: now, sequence };
    } else if (now - silent.since > SILENT_AFTER + 2000 * length && Math.abs(sequence - silent.sequence) > 1) {
      this.#silent = { since: now, sequence };
      this.restart();
    }
  }

  async #follow(stop) {
    for (let wait = SOONEST; !stop.aborted; wait = Math.min(wait * 2, LATEST)) {
      const reading = new AbortController();
      this.#reading = reading;
      let heard = false;
      try {
        const signal = AbortSignal.any([stop, reading.signal]);
        const answer = await ask(this.#path, signal);
        const take = this.#begin(answer);
        const reader = answer.body.getReader();
        for (;;) {
          const { done, value } = await reader.read();
          if (done || signal.aborted) break;
          if (take(value) === 0) continue;
          heard = true;
          this.#silent = { since: performance.now(), sequence: undefined };
        }
      } catch {
        // The page says that the server does not answer; whatever else it was, it is asked again.
        reading.abort();
      }
      if (heard && !this.#failed) wait = SOONEST;
      this.#failed = false;
      if (!stop.aborted) await pause(wait);
    }
  }
}
