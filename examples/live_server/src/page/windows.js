// How many windows show this page: they share the few connections that a browser opens to one server.

/** In milliseconds. One that says nothing for so long is gone, or was killed. */
const SENT_EVERY = 1000;
const GONE_AFTER = 3500;

export class Windows {
  #channel = new BroadcastChannel("windows");
  /** When each of the others was last heard of. */
  #others = new Map();
  #name = Math.random();
  #here;

  /** `here` says whether this one takes part; `changed` is called when it is another number of them. */
  constructor(here, changed) {
    this.#here = here;
    this.#channel.onmessage = ({ data }) => this.#heard(data, changed);
    setInterval(() => this.#tell(), SENT_EVERY);
    document.addEventListener("visibilitychange", () => this.#tell());
    addEventListener("pagehide", () => this.#tell(false));
    this.#tell();
  }

  #tell(here = this.#here()) {
    this.#channel.postMessage({ name: this.#name, here });
  }

  #heard({ name, here }, changed) {
    const before = this.#others.size;
    const isNew = here && !this.#others.has(name);
    if (here) this.#others.set(name, performance.now());
    else this.#others.delete(name);
    // A new window knows no other.
    if (isNew) this.#tell();
    if (this.#others.size !== before) changed();
  }

  /** This one counts in any case. */
  get count() {
    const longest = performance.now() - GONE_AFTER;
    for (const [name, heard] of this.#others) if (heard < longest) this.#others.delete(name);
    return 1 + this.#others.size;
  }
}
