// A video channel in its card: a stream that is followed, or a glimpse of the newest fragment now and then.

import { Film, plays } from "./film.js";
import { Cutter } from "./mp4.js";
import { pause } from "./polling.js";

/** In milliseconds: how long it waits before it asks again for a stream that broke off. */
const SOONEST = 250;
const LATEST = 4000;
/** A stream that is silent for so long, while the channel goes on, is taken up again. */
const SILENT_AFTER = 5000;

export class Player {
  #video;
  #path;
  #film;
  #stop;
  /** What is read now is given up by this, to be taken up again. */
  #reading;
  #silent = { since: 0, sequence: 0 };
  #wanted = true;

  constructor(video, name) {
    this.#video = video;
    this.#path = `/live/${name}`;
  }

  /** Follows the stream, or gives it up. */
  stream(on) {
    if (on === (this.#stop !== undefined)) return;
    if (on) {
      this.#stop = new AbortController();
      this.#follow(this.#stop.signal);
    } else {
      this.#stop.abort();
      this.#stop = undefined;
    }
  }

  /** Whether it shall play at all. */
  set wanted(wanted) {
    this.#wanted = wanted;
    if (wanted) this.#play();
    else this.#video.pause();
  }

  behind() {
    return this.#film?.behind();
  }

  /** To be called a few times a second, with the number of the channel's newest fragment. */
  watch(sequence) {
    if (!this.#wanted) return;
    this.#film?.watch();
    if (this.#video.paused) this.#play();
    const now = performance.now();
    if (this.#silent.sequence === 0) this.#silent = { since: now, sequence };
    const silent = now - this.#silent.since > SILENT_AFTER + 2000 * (this.#film?.length ?? 0);
    if (silent && sequence > this.#silent.sequence + 1) {
      this.#silent = { since: now, sequence };
      this.#reading?.abort();
    }
  }

  /** Fetches the newest fragment. */
  async glimpse() {
    await this.#read(`${this.#path}?limit=1`, AbortSignal.timeout(5000));
  }

  async #follow(stop) {
    for (let wait = SOONEST; !stop.aborted; wait = Math.min(wait * 2, LATEST)) {
      this.#reading = new AbortController();
      try {
        const read = await this.#read(this.#path, AbortSignal.any([stop, this.#reading.signal]));
        if (read > 0) wait = SOONEST;
      } catch {
        // The page says that the server does not answer, and it is asked again below.
      }
      if (!stop.aborted) await pause(wait);
    }
  }

  /** Reads a response to its end. How many fragments there were. */
  async #read(path, signal) {
    const answer = await fetch(path, { cache: "no-store", signal });
    const mediaType = answer.headers.get("content-type");
    if (!answer.ok || !plays(mediaType)) {
      await answer.body?.cancel();
      throw new Error(`${path}: ${answer.status} ${mediaType}`);
    }
    const cutter = new Cutter();
    const reader = answer.body.getReader();
    let fragments = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return fragments;
      for (const { kind, bytes } of cutter.push(value)) {
        if (kind === "init") {
          this.#begin(mediaType, bytes);
        } else {
          this.#silent = { since: performance.now(), sequence: 0 };
          this.#film?.append(bytes);
          fragments += 1;
        }
      }
    }
  }

  /** Goes on with the film that there is, if this belongs to it. */
  #begin(mediaType, init) {
    if (this.#film?.isOf(mediaType, init)) return;
    this.#film?.close();
    this.#film = new Film(this.#video, mediaType, init, () => this.#broken());
    if (this.#wanted) this.#play();
  }

  #broken() {
    this.#film?.close();
    this.#film = undefined;
    this.#reading?.abort();
  }

  #play() {
    if (this.#film === undefined) return;
    // It is refused while there is nothing to play, and by browsers that want a click first; both are tried again.
    this.#video.play().catch(() => {});
  }

  close() {
    this.stream(false);
    this.#film?.close();
    this.#film = undefined;
  }
}
