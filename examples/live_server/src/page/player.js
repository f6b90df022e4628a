// A video channel in its card: a stream that is followed, or a glimpse of the newest fragment now and then.

import { Film, plays } from "./film.js";
import { Cutter } from "./mp4.js";
import { Stream, ask } from "./stream.js";

/** So many films in a row that broke before anything of them was played, and the browser cannot play this. */
const MOST_FAILURES = 4;

export class Player {
  #video;
  #path;
  #film;
  #stream;
  #paused = false;
  #closed = false;
  #failures = 0;
  #cannot;

  /** Calls `cannot` when what is sent cannot be played, whatever the browser said of it. */
  constructor(video, name, cannot) {
    this.#video = video;
    this.#cannot = cannot;
    this.#path = `/live/${name}`;
    this.#stream = new Stream(this.#path, answer => {
      const mediaType = playable(answer);
      const cutter = new Cutter();
      return chunk => this.#take(cutter.push(chunk), mediaType);
    });
  }

  /** Follows the stream, or gives it up. */
  stream(on) {
    if (on) this.#stream.start();
    else this.#stream.stop();
  }

  pause(paused) {
    this.#paused = paused;
    if (paused) this.#video.pause();
    else this.#play();
  }

  /** How far what is shown is behind what is newest, in seconds. */
  behind() {
    return this.#film?.behind();
  }

  /** To be called a few times a second, with the number of the channel's newest fragment. */
  watch(sequence) {
    this.#stream.watch(sequence, this.#film?.length ?? 0);
    if (this.#paused) return;
    this.#film?.watch();
    if (this.#video.paused) this.#play();
  }

  /** Fetches the newest fragment. */
  async glimpse() {
    const answer = await ask(`${this.#path}?limit=1`, AbortSignal.timeout(5000));
    const mediaType = playable(answer);
    this.#take(new Cutter().push(new Uint8Array(await answer.arrayBuffer())), mediaType);
  }

  /** How many fragments there are among the pieces. */
  #take(pieces, mediaType) {
    // An answer may come when the card is gone already.
    if (this.#closed) return 0;
    let fragments = 0;
    for (const { kind, bytes } of pieces) {
      if (kind === "init") {
        this.#begin(mediaType, bytes);
      } else {
        this.#film?.append(bytes);
        fragments += 1;
      }
    }
    return fragments;
  }

  /** Goes on with the film that there is, if this belongs to it. */
  #begin(mediaType, init) {
    if (this.#film?.isOf(mediaType, init)) return;
    if (this.#film?.hasPlayed) this.#failures = 0;
    this.#film?.close();
    // The next line may throw.
    this.#film = undefined;
    this.#film = new Film(this.#video, mediaType, init, () => this.#broken());
    if (!this.#paused) this.#play();
  }

  #broken() {
    this.#failures = this.#film?.hasPlayed ? 0 : this.#failures + 1;
    this.#film?.close();
    this.#film = undefined;
    if (this.#failures < MOST_FAILURES) this.#stream.restart(this.#failures > 0);
    else this.#cannot();
  }

  #play() {
    if (this.#film === undefined) return;
    // It is refused while there is nothing to play, and by browsers that want a click first; both are tried again.
    this.#video.play().catch(() => {});
  }

  close() {
    this.#closed = true;
    this.#stream.stop();
    this.#film?.close();
    this.#film = undefined;
  }
}

/** The media type of an answer, if it can be played: the channel may have become another one meanwhile. */
function playable(answer) {
  const mediaType = answer.headers.get("content-type");
  if (!plays(mediaType)) throw new Error(`${mediaType} cannot be played`);
  return mediaType;
}
