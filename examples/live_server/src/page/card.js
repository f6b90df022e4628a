// A channel's card: what it shows, its figures, and what can be done with it.

import { plays } from "./film.js";
import { Picture } from "./picture.js";
import { Player } from "./player.js";
import { bytes, count } from "./pool.js";

const SPEAKER = '<path class="solid" d="M4 9.5v5h3.5L12 18.5v-13L7.5 9.5Z"/>';
const ICONS = {
  sound: `${SPEAKER}<path d="M15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a7.8 7.8 0 0 1 0 11"/>`,
  muted: `${SPEAKER}<path d="m16 9.5 5 5m0-5-5 5"/>`,
  pause: '<path d="M9 5.5v13M15 5.5v13" stroke-width="3"/>',
  play: '<path class="solid" d="M8 5.5v13l10.5-6.5Z"/>',
  fullscreen: '<path d="M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5"/>',
};
const icon = name => `<svg viewBox="0 0 24 24" aria-hidden="true">${ICONS[name]}</svg>`;

/** What a card's picture shall do, and the text about it. */
export const PLAYING = {
  stream: "stream",
  glimpse: "glimpse",
  still: "still",
  unsupported: "unsupported",
  none: "none",
};

/** What came of its sources and can not be shown. */
function skipped({ skipped_bytes: skippedBytes, skipped_pictures: pictures }) {
  if (!skippedBytes) return "";
  const broken = pictures > 0 ? `, ${count(pictures)} broken` : "";
  return ` · ${bytes(skippedBytes)} skipped${broken}`;
}

export class Card {
  element = document.createElement("article");
  inView = false;
  paused = false;
  /** The number of the frame that was shown last. */
  shown = 0;
  #media;
  #picture;
  #playing = PLAYING.none;
  #unsupported = false;
  /** The media type that the browser said it can play, and could not. */
  #refused;
  #find = selector => this.element.querySelector(selector);

  constructor(channel) {
    const { element } = this;
    this.channel = channel;
    element.dataset.channel = channel.name;
    element.innerHTML =
      '<div class="screen"><div class="badges"><span class="live"></span><span class="kind"></span></div></div>' +
      '<div class="about"><h3 class="name"></h3><div class="actions"></div>' +
      '<p class="facts"></p><p class="codecs"></p></div>';
    const name = this.#find(".name");
    name.id = `channel-${channel.name}`;
    name.textContent = channel.name;
    element.setAttribute("aria-labelledby", name.id);
    element.addEventListener("fullscreenchange", () => this.#labelFullscreen());
    this.#build();
  }

  /** What `/status` tells. */
  update(channel) {
    const { kind, media_type: mediaType, live } = this.channel;
    // Another source may send what can be played.
    if (channel.live && !live) this.#refused = undefined;
    this.channel = channel;
    // A video goes on in the same place, with its sound as it was, when its source is another one.
    if (channel.kind !== kind || this.#unsupported !== this.#cannotPlay()) this.#build();
    if (channel.media_type !== mediaType) this.#describe();
    const { dataset } = this.element;
    dataset.live = channel.live;
    this.#text(".live", channel.live ? "Live" : "No source");
    const viewers = `${count(channel.viewers)} ${channel.viewers === 1 ? "viewer" : "viewers"}`;
    const number = channel.kind === "mp4" ? "fragment" : "picture";
    this.#text(
      ".facts",
      channel.sequence === 0 ? viewers : `${viewers} · ${number} ${count(channel.sequence)}${this.#behind()}${skipped(channel)}`,
    );
    // What is neither seen nor heard may stand still.
    const followed = this.#playing !== PLAYING.none && (!document.hidden || this.listened);
    if (followed) this.#picture.watch(channel.sequence);
  }

  /** How far a stream is behind what is newest. */
  #behind() {
    const behind = this.#playing === PLAYING.stream ? this.#picture.behind?.() : undefined;
    return behind === undefined ? "" : ` · ${Math.max(behind, 0).toFixed(1)} s behind`;
  }

  #text(selector, text) {
    const element = this.#find(selector);
    if (element.textContent !== text) element.textContent = text;
  }

  /** Whether anything can be shown of it. */
  get playable() {
    return this.#picture !== undefined && this.channel.sequence > 0 && !this.paused;
  }

  /** Whether somebody listens to it, or sees nothing else. */
  get chosen() {
    return this.#media?.muted === false || document.fullscreenElement === this.element;
  }

  get listened() {
    return this.#media?.muted === false;
  }

  get streams() {
    return this.#playing === PLAYING.stream;
  }

  /** Streams or shows a frame now and then. */
  play(stream) {
    const glimpse = this.channel.kind === "mp4" ? PLAYING.glimpse : PLAYING.still;
    this.#play(!this.playable ? PLAYING.none : stream ? PLAYING.stream : glimpse);
  }

  #play(playing) {
    this.#playing = playing;
    this.element.dataset.playing = this.#unsupported ? PLAYING.unsupported : playing;
    this.#picture?.stream(playing === PLAYING.stream);
  }

  /** Shows the newest frame, if it is another one. */
  async glimpse() {
    const { sequence } = this.channel;
    if (sequence === this.shown) return;
    await this.#picture.glimpse();
    this.shown = sequence;
  }

  mute() {
    if (this.#media?.muted === false) this.#sound();
  }

  #build() {
    const { kind, media_type: mediaType, name } = this.channel;
    this.#picture?.close();
    this.#picture = undefined;
    this.#media = undefined;
    this.shown = 0;
    this.element.dataset.kind = kind ?? "none";
    this.#unsupported = this.#cannotPlay();
    for (const old of this.element.querySelectorAll("video, .screen > img, .unsupported, .empty, button")) old.remove();
    if (this.#unsupported) this.#say("unsupported", "This browser cannot play ", mediaType);
    else if (kind === "mp4") this.#buildVideo(name);
    else if (kind === "jpeg") this.#buildPicture(name);
    else this.#say("empty", "Nothing was sent yet", "");
    this.#describe();
    this.#play(PLAYING.none);
  }

  /** What it carries. */
  #describe() {
    const { kind, media_type: mediaType } = this.channel;
    this.#find(".kind").hidden = kind === null;
    this.#text(".kind", { mp4: "MP4", jpeg: "JPEG" }[kind] ?? "");
    const codecs = { mp4: mediaType?.replace(/^.*codecs="(.*)".*$/, "$1"), jpeg: "motion JPEG" };
    this.#text(".codecs", codecs[kind] ?? "");
    if (this.#unsupported) this.#text(".unsupported code", mediaType);
  }

  #cannotPlay() {
    const { kind, media_type: mediaType } = this.channel;
    return kind === "mp4" && (!plays(mediaType) || mediaType === this.#refused);
  }

  #say(className, text, code) {
    const element = document.createElement("p");
    element.className = className;
    element.append(text);
    if (code !== "") element.append(Object.assign(document.createElement("code"), { textContent: code }));
    this.#find(".screen").append(element);
  }

  #buildVideo(name) {
    const video = document.createElement("video");
    video.muted = true;
    video.playsInline = true;
    video.setAttribute("aria-label", `Live video of ${name}`);
    this.#media = video;
    this.#find(".screen").prepend(video);
    this.#picture = new Player(video, name, () => {
      this.#refused = this.channel.media_type;
      this.update(this.channel);
    });
    this.#button("sound", () => this.#sound());
    this.#commonButtons();
    this.#labelSound();
  }

  #buildPicture(name) {
    const image = document.createElement("img");
    image.alt = `Live picture of ${name}`;
    this.#find(".screen").prepend(image);
    this.#picture = new Picture(image, name);
    this.#commonButtons();
  }

  #commonButtons() {
    this.#button("play", () => this.#pauseOrPlay());
    this.#button("fullscreen", () => this.#fullscreen());
    this.#labelFullscreen();
    this.#labelPlay();
  }

  #button(action, act) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.action = action;
    button.addEventListener("click", act);
    this.#find(".actions").append(button);
  }

  #label(action, picture, label) {
    const button = this.#find(`[data-action=${action}]`);
    button.innerHTML = icon(picture);
    button.title = label;
    button.setAttribute("aria-label", label);
  }

  #sound() {
    this.#media.muted = !this.#media.muted;
    this.#labelSound();
    if (!this.#media.muted) this.element.dispatchEvent(new CustomEvent("listen", { bubbles: true, detail: this }));
  }

  #labelSound() {
    const on = !this.#media.muted;
    // Pressed says whether it is on: the label stays the same.
    this.#label("sound", on ? "sound" : "muted", `Sound of ${this.channel.name}`);
    this.#find("[data-action=sound]").setAttribute("aria-pressed", on);
  }

  #pauseOrPlay() {
    this.paused = !this.paused;
    this.#labelPlay();
    this.#picture.pause?.(this.paused);
    this.element.dispatchEvent(new CustomEvent("choose", { bubbles: true }));
  }

  #labelPlay() {
    this.#label("play", this.paused ? "play" : "pause", `${this.paused ? "Play" : "Pause"} ${this.channel.name}`);
  }

  #fullscreen() {
    if (document.fullscreenElement === this.element) document.exitFullscreen();
    // A phone may have it for videos alone.
    else if (this.element.requestFullscreen) this.element.requestFullscreen().catch(() => {});
    else this.#media?.webkitEnterFullscreen?.();
  }

  #labelFullscreen() {
    const what = document.fullscreenElement === this.element ? "Leave full screen" : "Full screen";
    this.#label("fullscreen", "fullscreen", `${what}: ${this.channel.name}`);
  }

  close() {
    this.#picture?.close();
    this.element.remove();
  }
}
