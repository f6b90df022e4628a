// All cards, and which of them get one of the few connections that a browser opens to a server.
//
// Of six, three carry streams. One fetches a frame for each of the other channels in turn, one asks for the status, and
// one for the tables. The six are for all windows of the page together, so each has its share of the streams.

import { Card } from "./card.js";
import { pause } from "./polling.js";
import { Windows } from "./windows.js";

const MOST_STREAMS = 3;
/** In milliseconds: each of the others shows another frame after about so long. */
const GLIMPSE_EVERY = 700;

export class Channels {
  #cards = new Map();
  #list = document.getElementById("channels");
  #windows = new Windows(
    () => !document.hidden || this.listened,
    () => this.#share(),
  );
  #views = new IntersectionObserver(entries => this.#seen(entries), { threshold: 0.25 });

  constructor() {
    this.#list.addEventListener("listen", ({ detail }) => this.#listenTo(detail));
    for (const event of ["listen", "choose"]) this.#list.addEventListener(event, () => this.#share());
    document.addEventListener("fullscreenchange", () => this.#share());
    document.addEventListener("visibilitychange", () => this.#share());
  }

  show(channels) {
    const names = new Set(channels.map(channel => channel.name));
    for (const [name, card] of this.#cards) if (!names.has(name)) this.#remove(name, card);
    for (const [index, channel] of channels.entries()) {
      const card = this.#cards.get(channel.name) ?? this.#add(channel, index);
      card.update(channel);
    }
    this.#share();
  }

  /** Whether any of them is listened to. */
  get listened() {
    return [...this.#cards.values()].some(card => card.listened && card.playable);
  }

  /** The server does not answer: nothing is known to be live. */
  lost() {
    for (const card of this.#cards.values()) card.update({ ...card.channel, live: false });
  }

  #add(channel, index) {
    const card = new Card(channel);
    this.#cards.set(channel.name, card);
    // In the server's order, which is that of the names.
    this.#list.insertBefore(card.element, this.#list.children[index] ?? null);
    this.#views.observe(card.element);
    return card;
  }

  #remove(name, card) {
    this.#views.unobserve(card.element);
    this.#cards.delete(name);
    card.close();
  }

  #seen(entries) {
    for (const { target, isIntersecting } of entries) {
      const card = this.#cards.get(target.dataset.channel);
      if (card !== undefined) card.inView = isIntersecting;
    }
  }

  /** Two at a time are noise. */
  #listenTo(chosen) {
    for (const card of this.#cards.values()) if (card !== chosen) card.mute();
  }

  /** Gives the streams to those that are worth most. Equals keep theirs: each change costs a halt. */
  #share() {
    const cards = [...this.#cards.values()];
    const worth = card =>
      [
        card.chosen,
        card.channel.live && card.inView,
        card.channel.live,
        // A picture now and then stands in for a stream of pictures better than glimpses for a film.
        card.channel.kind === "mp4",
        card.streams,
      ].reduce((sum, holds) => sum * 2 + Number(holds), 0);
    const wanted = cards.filter(
      card => card.playable && (card.channel.live || card.streams) && (!document.hidden || card.listened),
    );
    // Half of a stream is none, but for what somebody has chosen.
    const share = Math.floor(MOST_STREAMS / this.#windows.count);
    const most = Math.max(share, Number(wanted.some(card => card.chosen)));
    // The sort is stable: those that come first on the page win.
    const streams = new Set(wanted.sort((one, other) => worth(other) - worth(one)).slice(0, most));
    // First those that give up a connection.
    for (const card of cards) if (!streams.has(card)) card.play(false);
    for (const card of streams) card.play(true);
  }

  /** Shows frames of those that have no stream, one after the other, forever. */
  async glimpse() {
    for (;;) {
      const others = [...this.#cards.values()].filter(card => card.playable && !card.streams);
      for (const card of others) {
        const begun = performance.now();
        if (!document.hidden && card.playable && !card.streams) {
          // The page says that the server does not answer; the next turn tries again.
          await card.glimpse().catch(() => {});
        }
        await pause(Math.max(GLIMPSE_EVERY / others.length - (performance.now() - begun), 20));
      }
      if (others.length === 0) await pause(GLIMPSE_EVERY);
    }
  }
}
