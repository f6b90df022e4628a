// A channel of pictures in its card: a stream that the browser itself shows, or one picture now and then.

/** In milliseconds: how long it waits before it asks again for a stream that broke off. */
const SOONEST = 250;
const LATEST = 4000;

export class Picture {
  #image;
  #path;
  #streams = false;
  #wait = SOONEST;
  #again;
  #url;

  constructor(image, name) {
    this.#image = image;
    this.#path = `/live/${name}`;
    image.addEventListener("load", () => { this.#wait = SOONEST; });
    image.addEventListener("error", () => this.#retry());
  }

  stream(on) {
    if (on === this.#streams) return;
    this.#streams = on;
    clearTimeout(this.#again);
    if (on) this.#image.src = this.#path;
    // Another picture in its place is what makes a browser give up a stream.
    else this.freeze();
  }

  /** Takes the stream up again. */
  restart() {
    if (this.#streams) this.#image.src = `${this.#path}?again=${Date.now()}`;
  }

  #retry() {
    if (!this.#streams) return;
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.restart(), this.#wait);
    this.#wait = Math.min(this.#wait * 2, LATEST);
  }

  /** Shows the picture that is there now, for as long as there is no other. */
  freeze() {
    const { naturalWidth: width, naturalHeight: height } = this.#image;
    if (width === 0) return this.#image.removeAttribute("src");
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    canvas.getContext("2d").drawImage(this.#image, 0, 0);
    this.#image.removeAttribute("src");
    canvas.toBlob(blob => { if (!this.#streams && blob !== null) this.#show(blob); }, "image/jpeg", 0.9);
  }

  /** Fetches the newest picture. */
  async glimpse() {
    const answer = await fetch(`${this.#path}.jpg`, { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(`${this.#path}.jpg: ${answer.status}`);
    const picture = await answer.blob();
    if (!this.#streams) this.#show(picture);
  }

  #show(blob) {
    const last = this.#url;
    this.#url = URL.createObjectURL(blob);
    this.#image.src = this.#url;
    if (last !== undefined) URL.revokeObjectURL(last);
  }

  close() {
    this.#streams = false;
    clearTimeout(this.#again);
    this.#image.removeAttribute("src");
    if (this.#url !== undefined) URL.revokeObjectURL(this.#url);
  }
}
