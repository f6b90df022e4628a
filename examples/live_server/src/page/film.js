// What plays fragments: a media source with one source buffer, kept close to what is newest.
//
// The server sends a fragment while it arrives, and it is appended here when it is whole: only then is it known that its
// rest comes. So the end of what is buffered jumps ahead by a fragment at a time, and a player that never halts is between
// nothing and one fragment behind it: the longest one, since it is not known how long the next takes.

import { startOf, timescales } from "./mp4.js";

// Safari on a phone has only the managed kind.
const Source = globalThis.MediaSource ?? globalThis.ManagedMediaSource;

/** In seconds. Two times are the same when they are not further apart; those that a fragment tells, are exact. */
const SAME = 0.05;
const EXACT = 1e-3;
/** What was played is kept for so long, and is thrown away once there is that much more. */
const KEPT = 6;
const THROWN_AWAY_AT = 20;
/** The longest of so many fragments is what must be in front of it; where all are short, at least so many seconds. */
const REMEMBERED = 16;
const LEAST = 0.5;
/** For each second that it lags it is played so much faster, and never more than that: it is not heard. */
const FASTER = 0.15;
const FASTEST = 1.15;
/** Before the end of what there is, it may halt so many seconds earlier: where the last picture begins. */
const LAST_PICTURE = 0.5;
/** With something new to play and no progress for so many milliseconds, it is stuck. */
const STUCK_AFTER = 3000;

export const plays = mediaType => Source !== undefined && Source.isTypeSupported(mediaType);

export class Film {
  /** How long the longest of the newest fragments is, in seconds; nothing before one has landed. */
  length = 0;
  #lengths = [];
  #video;
  #broken;
  #closed = false;
  #source = new Source();
  #buffer;
  #queue = [];
  #scales;
  /** The newest fragment: from where to where it lies in the buffer. */
  #newest;
  /** In its source's time, when the newest fragment of each track began: some sources send tracks one by one. */
  #starts = new Map();
  #progress = { at: 0, since: 0, newest: undefined, pushed: false };

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
    try {
      this.#buffer = this.#source.addSourceBuffer(this.mediaType);
    } catch {
      return this.#broken();
    }
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
    if (this.#closed) return;
    this.#queue.push(() => this.#append(fragment));
    this.#next();
  }

  close() {
    this.#closed = true;
    this.#broken = () => {};
    this.#queue.length = 0;
    this.#video.onerror = null;
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  /** One thing after the other: a source buffer refuses all while it is busy. */
  #next() {
    // Once it was given what it cannot read, it cannot even be asked.
    if (this.#closed || this.#buffer === undefined || this.#source.readyState !== "open") return;
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
    const { track, start } = startOf(fragment, this.#scales);
    const before = this.#starts.get(track);
    const end = this.#newest?.to ?? 0;
    if (start !== undefined && before !== undefined) {
      if (Math.abs(start - before) < EXACT) return;
      if (start < before) {
        // Another source has taken over and counts from the beginning: it follows where the last one ended, with
        // all of its tracks.
        this.#buffer.timestampOffset = end - start;
        this.#starts.clear();
      }
    }
    const from = start === undefined ? end : start + this.#buffer.timestampOffset;
    this.#buffer.appendBuffer(fragment);
    this.#starts.set(track, start);
    this.#newest = { from, to: from, landed: false };
  }

  /** After an append: how far it reaches, and whether the film lags too much behind it. */
  #settle() {
    const newest = this.#newest;
    if (newest !== undefined && !newest.landed) {
      // The pictures may begin a little after what the fragment says.
      const range = this.#ranges().find(({ start, end }) => start <= newest.from + 1 && end > newest.from + EXACT);
      if (range !== undefined) {
        newest.landed = true;
        newest.from = Math.max(newest.from, range.start);
        newest.to = range.end;
        newest.range = range;
        this.#lengths.push(newest.to - newest.from);
        if (this.#lengths.length > REMEMBERED) this.#lengths.shift();
        this.length = Math.max(...this.#lengths);
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

  /** Whether anything of it was played. */
  get hasPlayed() {
    const { played } = this.#video;
    return played.length > 0 && played.end(played.length - 1) - played.start(0) > SAME;
  }

  /** How far what is shown is behind what is newest, in seconds; `undefined` before there is anything. */
  behind() {
    return this.#newest?.landed ? this.#newest.to - this.#video.currentTime : undefined;
  }

  /** With a whole fragment before it, this is as far behind as it ever has to be. */
  #keepUp() {
    const behind = this.behind();
    const ahead = Math.max(this.length, LEAST);
    const video = this.#video;
    if (behind > 2.5 * ahead + 0.5 || behind < -SAME) {
      this.#seek(Math.max(this.#newest.to - ahead, this.#newest.range.start));
    } else if (behind > 1.5 * ahead + 0.3) {
      video.playbackRate = Math.min(1 + FASTER * (behind - ahead), FASTEST);
    } else if (behind < 1.2 * ahead + 0.2) {
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
    const inside = ranges.find(({ start, end }) => start <= at + EXACT && at < end - (halted ? LAST_PICTURE : SAME));
    if (inside === undefined) {
      const next = ranges.find(({ start }) => start > at + EXACT);
      if (next !== undefined) return this.#seek(next.start + EXACT);
    }
    const progress = this.#progress;
    const newest = this.#newest;
    const moved = Math.abs(at - progress.at);
    // A halt at the end of all there is lasts as long as the source takes, or for good if there is none. So does one in
    // a fragment that stands alone, which may be a single picture.
    const waits = halted && (progress.newest === newest || newest.range.start >= newest.from - EXACT);
    // At the first check it is not known since when.
    if (progress.newest === undefined || moved > EXACT || video.paused || waits) {
      this.#progress = { at, since: now, newest, pushed: progress.pushed && moved < SAME };
    } else if (now - progress.since > STUCK_AFTER) {
      if (progress.pushed) return this.#broken();
      this.#seek(newest.from + Math.min(SAME, (newest.to - newest.from) / 2));
      Object.assign(progress, { since: now, pushed: true });
    }
  }
}
