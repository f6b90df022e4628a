// What plays fragments: a media source with one source buffer, kept close to what is newest.
//
// Fragments come when they are whole. So the end of what is buffered jumps ahead by a fragment at a time, and
// whoever plays without a halt is between nothing and one fragment behind it.

import { startOf, timescales } from "./mp4.js";

// Safari on a phone has only the managed kind.
const Source = globalThis.MediaSource ?? globalThis.ManagedMediaSource;

/** In seconds. Two times are the same when they are not further apart. */
const SAME = 0.05;
/** What was played is kept for so long, and is thrown away once there is that much more. */
const KEPT = 6;
const THROWN_AWAY_AT = 20;
/** For each second that it lags it is played so much faster, and never more than that: nobody hears it. */
const FASTER = 0.1;
const FASTEST = 1.15;
/** With so much in front of it and no progress for so many milliseconds, it is stuck. */
const STUCK_WITH = 0.5;
const STUCK_AFTER = 3000;

export const plays = mediaType => Source !== undefined && Source.isTypeSupported(mediaType);

export class Film {
  /** How long the newest fragment is, in seconds. */
  length = 0;
  #video;
  #broken;
  #source = new Source();
  #buffer;
  #queue = [];
  #scales;
  /** The newest fragment: its start in its source's time, and from where to where it lies in the buffer. */
  #newest;
  #progress = { at: 0, since: 0, pushed: false };

  /** Calls `broken` once it can play nothing any more. */
  constructor(video, mediaType, init, broken) {
    this.#video = video;
    this.mediaType = mediaType;
    this.init = init;
    this.#scales = timescales(init);
    this.#broken = () => {
      this.#broken = () => {};
      broken();
    };
    this.#queue.push(() => this.#buffer.appendBuffer(init));
    this.#source.addEventListener("sourceopen", () => this.#open(), { once: true });
    video.disableRemotePlayback = true;
    const url = URL.createObjectURL(this.#source);
    this.#source.addEventListener("sourceopen", () => URL.revokeObjectURL(url), { once: true });
    video.src = url;
    video.onerror = () => this.#broken();
  }

  #open() {
    this.#buffer = this.#source.addSourceBuffer(this.mediaType);
    this.#buffer.addEventListener("updateend", () => this.#next());
    this.#buffer.addEventListener("error", () => this.#broken());
    this.#next();
  }

  /** Whether this init segment is the one that it began with. */
  isOf(mediaType, init) {
    return (
      mediaType === this.mediaType &&
      init.length === this.init.length &&
      init.every((byte, index) => byte === this.init[index])
    );
  }

  append(fragment) {
    this.#queue.push(() => this.#append(fragment));
    this.#next();
  }

  close() {
    this.#broken = () => {};
    this.#queue.length = 0;
    this.#video.onerror = null;
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  /** One thing after the other: a source buffer refuses all while it is busy. */
  #next() {
    // Once it is closed, or was given what it cannot read, it cannot even be asked.
    if (this.#buffer === undefined || this.#source.readyState !== "open") return;
    while (this.#queue.length > 0 && !this.#buffer.updating) {
      const task = this.#queue.shift();
      try {
        task();
      } catch (error) {
        if (error.name !== "QuotaExceededError" || !this.#makeRoom(1)) return this.#broken();
        this.#queue.unshift(task);
      }
    }
    if (!this.#buffer.updating) this.#settle();
  }

  #append(fragment) {
    const start = startOf(fragment, this.#scales);
    const before = this.#newest;
    if (start !== undefined && before !== undefined) {
      if (Math.abs(start - before.start) < 1e-3) return;
      // Another source has taken over and counts from the beginning: it follows where the last one ended.
      if (start < before.start) this.#buffer.timestampOffset = before.to - start;
    }
    const from = start === undefined ? (before?.to ?? 0) : start + this.#buffer.timestampOffset;
    this.#buffer.appendBuffer(fragment);
    this.#newest = { start: start ?? from, from, to: from, landed: false };
  }

  /** After an append: how far it reaches, and whether the film lags too much behind it. */
  #settle() {
    const newest = this.#newest;
    if (newest !== undefined && !newest.landed) {
      // The pictures may begin a little after what the fragment says.
      const range = this.#ranges().find(({ start, end }) => start <= newest.from + 1 && end > newest.from + SAME);
      if (range !== undefined) {
        newest.landed = true;
        newest.from = Math.max(newest.from, range.start);
        newest.to = range.end;
        this.length = newest.to - newest.from;
        this.#keepUp();
      }
    }
    const [first] = this.#ranges();
    if (first !== undefined && this.#video.currentTime - first.start > THROWN_AWAY_AT) this.#makeRoom(KEPT);
  }

  /** Throws away all but the last `kept` seconds of what was played. `false` if there is nothing. */
  #makeRoom(kept) {
    const [first] = this.#ranges();
    const until = this.#video.currentTime - kept;
    if (first === undefined || this.#buffer.updating || until <= first.start) return false;
    this.#buffer.remove(0, until);
    return true;
  }

  #ranges() {
    const { buffered } = this.#buffer;
    return Array.from({ length: buffered.length }, (_, index) => ({
      start: buffered.start(index),
      end: buffered.end(index),
    }));
  }

  /** How far what is shown is behind what is newest, in seconds; `undefined` before there is anything. */
  behind() {
    return this.#newest?.landed ? this.#newest.to - this.#video.currentTime : undefined;
  }

  /** With the whole of the newest fragment before it, this is as far behind as it ever has to be. */
  #keepUp() {
    const behind = this.behind();
    const video = this.#video;
    if (behind > 2.5 * this.length + 0.5 || behind < -SAME) {
      this.#seek(this.#newest.from);
    } else if (behind > 1.5 * this.length + 0.3) {
      video.playbackRate = Math.min(1 + FASTER * (behind - this.length), FASTEST);
    } else if (behind < 1.2 * this.length + 0.2) {
      video.playbackRate = 1;
    }
  }

  /** To be sent elsewhere is no progress, and leaves nothing to catch up with. */
  #seek(to) {
    this.#video.currentTime = to;
    this.#video.playbackRate = 1;
    this.#progress.at = to;
  }

  /** To be called a few times a second: gets over gaps, and out of where it is stuck. */
  watch() {
    const video = this.#video;
    const now = performance.now();
    if (this.#newest?.landed !== true || this.#source.readyState !== "open" || video.seeking) return;
    const ranges = this.#ranges();
    const at = video.currentTime;
    // Without another picture to go on to it halts where the last one begins, and not where that one ends.
    const halted = video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA;
    const inside = ranges.find(({ start, end }) => start <= at + 1e-3 && at < end - (halted ? STUCK_WITH : SAME));
    if (inside === undefined) {
      const next = ranges.find(({ start }) => start > at + 1e-3);
      if (next !== undefined) return this.#seek(next.start + 1e-3);
    }
    const moved = Math.abs(at - this.#progress.at);
    if (moved > 1e-3 || video.paused || this.behind() < STUCK_WITH) {
      this.#progress = { at, since: now, pushed: this.#progress.pushed && moved < SAME };
    } else if (now - this.#progress.since > STUCK_AFTER) {
      if (this.#progress.pushed) return this.#broken();
      this.#seek(this.#newest.from + SAME);
      Object.assign(this.#progress, { since: now, pushed: true });
    }
  }
}
