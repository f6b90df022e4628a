// Fragmented MP4 in whole pieces, from a response that sends a fragment while it arrives: the init segment, then one fragment after the other, and when each begins.

const HEADER = 8;
const LONG_HEADER = 16;
/** The server takes no larger fragment than eight buffers; this is far above what anybody makes those. */
const LARGEST_BOX = 1 << 28;

const view = bytes => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const kindOf = (data, at) => String.fromCharCode(...[4, 5, 6, 7].map(place => data.getUint8(at + place)));

/** The box at `at`, or `null` while its header is not there. */
function box(data, at) {
  const left = data.byteLength - at;
  if (left < HEADER) return null;
  const short = data.getUint32(at);
  if (short !== 1) return { kind: kindOf(data, at), at, body: at + HEADER, size: short };
  if (left < LONG_HEADER) return null;
  return { kind: kindOf(data, at), at, body: at + LONG_HEADER, size: Number(data.getBigUint64(at + HEADER)) };
}

function* children(data, from, to) {
  for (let at = from; at < to;) {
    const child = box(data, at);
    if (child === null || child.size < HEADER) return;
    yield child;
    at += child.size;
  }
}

function find(data, parent, ...path) {
  for (const kind of path) {
    parent = [...children(data, parent.body, parent.at + parent.size)].find(child => child.kind === kind);
    if (parent === undefined) return undefined;
  }
  return parent;
}

/**
 * Cuts a stream behind each `moov` and each `mdat`: a source buffer is never left inside of a box.
 *
 * A fragment comes in many chunks, while it arrives at the server. So what is not whole is kept in a buffer that grows by
 * doubling, and boxes that were passed are not looked at again.
 */
export class Cutter {
  #held = new Uint8Array(1 << 16);
  /** How many bytes of it are there, and where the next box begins. */
  #length = 0;
  #at = 0;

  /** The pieces that are whole now: `{ kind: "init" | "fragment", bytes }`. */
  push(chunk) {
    this.#append(chunk);
    const all = this.#held.subarray(0, this.#length);
    const data = view(all);
    const pieces = [];
    let begun = 0;
    for (;;) {
      const next = box(data, this.#at);
      if (next === null) break;
      if (next.size < HEADER || next.size > LARGEST_BOX) throw new Error(`a box of ${next.size} bytes`);
      if (this.#at + next.size > all.length) break;
      this.#at += next.size;
      if (next.kind !== "moov" && next.kind !== "mdat") continue;
      // A copy: the buffer is used again.
      pieces.push({ kind: next.kind === "moov" ? "init" : "fragment", bytes: all.slice(begun, this.#at) });
      begun = this.#at;
    }
    this.#held.copyWithin(0, begun, this.#length);
    this.#length -= begun;
    this.#at -= begun;
    return pieces;
  }

  #append(chunk) {
    const length = this.#length + chunk.length;
    if (length > this.#held.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#held.length));
      larger.set(this.#held.subarray(0, this.#length));
      this.#held = larger;
    }
    this.#held.set(chunk, this.#length);
    this.#length = length;
  }
}

/** Units of time in a second, by track. */
export function timescales(init) {
  const data = view(init);
  const scales = new Map();
  const moov = [...children(data, 0, data.byteLength)].find(child => child.kind === "moov");
  for (const trak of children(data, moov.body, moov.at + moov.size)) {
    if (trak.kind !== "trak") continue;
    const [track, media] = [find(data, trak, "tkhd"), find(data, trak, "mdia", "mdhd")];
    // Version 1 of both has 64 bits for each of the two times that stand in front.
    const after = box => box.body + (data.getUint8(box.body) === 1 ? 20 : 12);
    scales.set(data.getUint32(after(track)), data.getUint32(after(media)));
  }
  return scales;
}

/** The first track of a fragment, and when it begins in seconds of its source's own time, each if it says so. */
export function startOf(fragment, scales) {
  const data = view(fragment);
  const moof = [...children(data, 0, data.byteLength)].find(child => child.kind === "moof");
  const traf = moof && find(data, moof, "traf");
  const [header, time] = traf ? [find(data, traf, "tfhd"), find(data, traf, "tfdt")] : [];
  if (header === undefined || time === undefined) return {};
  const track = data.getUint32(header.body + 4);
  const scale = scales.get(track);
  const long = data.getUint8(time.body) === 1;
  const units = long ? Number(data.getBigUint64(time.body + 4)) : data.getUint32(time.body + 4);
  return { track, start: scale === undefined ? undefined : units / scale };
}
