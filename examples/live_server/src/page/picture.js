// A channel of pictures in its card: a stream of them, or one now and then.
//
// A browser shows such a stream by itself in an `img`, but does not tell when it ends, and the last picture would stand
// there as if it were live. So the parts are read here.

import { Stream, ask } from "./stream.js";

const LARGEST_HEADER = 4096;

/** Cuts a multipart response into the pictures that are whole. */
class Parts {
  #rest = new Uint8Array(0);

  push(chunk) {
    let rest = new Uint8Array(this.#rest.length + chunk.length);
    rest.set(this.#rest);
    rest.set(chunk, this.#rest.length);
    const pictures = [];
    for (;;) {
      const header = new TextDecoder("latin1").decode(rest.subarray(0, LARGEST_HEADER));
      const end = header.indexOf("\r\n\r\n");
      if (end < 0) {
        if (rest.length >= LARGEST_HEADER) throw new Error("a part without an end of its header");
        break;
      }
      // The server tells the length of each.
      const length = /^content-length: *(\d+)/im.exec(header.slice(0, end));
      if (length === null) throw new Error("a part without a length");
      const from = end + 4;
      const to = from + Number(length[1]);
      if (rest.length < to) break;
      pictures.push(rest.slice(from, to));
      rest = rest.subarray(to);
    }
    this.#rest = rest;
    return pictures;
  }
}

export class Picture {
  #image;
  #path;
  #stream;
  #shown;
  #busy = false;
  #closed = false;

  constructor(image, name) {
    this.#image = image;
    this.#path = `/live/${name}`;
    this.#stream = new Stream(this.#path, () => {
      const parts = new Parts();
      return chunk => {
        const pictures = parts.push(chunk);
        if (pictures.length > 0) this.#show(pictures.at(-1));
        return pictures.length;
      };
    });
  }

  stream(on) {
    if (on) this.#stream.start();
    else this.#stream.stop();
  }

  watch(sequence) {
    this.#stream.watch(sequence, 0);
  }

  /** Fetches the newest picture. */
  async glimpse() {
    const answer = await ask(`${this.#path}.jpg`, AbortSignal.timeout(5000));
    await this.#show(await answer.arrayBuffer());
  }

  /** A picture that comes while the one before is still decoded is skipped. */
  async #show(bytes) {
    // An answer may come when the card is gone already.
    if (this.#busy || this.#closed) return;
    this.#busy = true;
    const before = this.#shown;
    this.#shown = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
    this.#image.src = this.#shown;
    // One that cannot be decoded is followed by another.
    await this.#image.decode().catch(() => {});
    if (before !== undefined) URL.revokeObjectURL(before);
    this.#busy = false;
  }

  close() {
    this.#closed = true;
    this.#stream.stop();
    if (this.#shown !== undefined) URL.revokeObjectURL(this.#shown);
  }
}
