// The pool: its numbers, its last minute as a chart, and the wait times.

const byId = id => document.getElementById(id);
const whole = new Intl.NumberFormat("en");

/** Polled four times a second, this is a minute. */
const HISTORY = 240;
/** In milliseconds. After a longer time without an answer the chart begins anew: what was meanwhile is not known. */
const GAP = 3000;
/** The chart's own height; its width is one less than the number of points. */
const HEIGHT = 100;
/** A chart that is read out with every point would never be silent. */
const DESCRIBED_EVERY = 20;

const COUNTS = [
  "free",
  "outstanding",
  "waiting",
  "buffers",
  "high_water",
  "acquired",
  "waited",
  "held_by_viewers",
  "closed_viewers",
];
/** The longest waits of each row, in seconds, and how that is said. */
const WAITS = [
  [1e-5, "10 µs"],
  [1e-4, "100 µs"],
  [1e-3, "1 ms"],
  [1e-2, "10 ms"],
  [1e-1, "100 ms"],
  [1, "1 s"],
  [Infinity, "longer"],
];

export const count = number => whole.format(number);

export function bytes(number) {
  for (const unit of ["B", "KiB", "MiB"]) {
    if (number < 1024) return `${unit === "B" ? number : number.toFixed(number < 10 ? 1 : 0)} ${unit}`;
    number /= 1024;
  }
  return `${number.toFixed(1)} GiB`;
}

export function duration(seconds) {
  if (seconds < 1e-3) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  return seconds < 10 ? `${seconds.toFixed(1)} s` : uptime(seconds);
}

/** In whole seconds, for what grows. */
export function uptime(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export class Pool {
  #history = [];
  #last = 0;
  #shown = 0;
  #rows = WAITS.map(([, label]) => row(label));

  constructor() {
    byId("waits").tBodies[0].append(...this.#rows.map(row => row.element));
  }

  show(status) {
    for (const name of COUNTS) byId(name).textContent = count(status[name]);
    byId("bytes_used").textContent = bytes(status.bytes_used);
    byId("max_wait").textContent = status.waited === 0 ? "–" : duration(status.max_wait);
    byId("state").textContent = status.state.toLowerCase();
    const now = performance.now();
    if (now - this.#last > GAP) this.#history = [];
    this.#last = now;
    this.#history.push(status);
    if (this.#history.length > HISTORY) this.#history.shift();
    this.#draw();
    this.#showWaits(status.wait_histogram);
    this.#shown += 1;
  }

  #draw() {
    const history = this.#history;
    const highest = field => Math.max(...history.map(status => status[field]));
    // From nothing to an even number a bit above the most of the minute, so that half of it is a whole number.
    const most = Math.max(highest("outstanding"), highest("waiting"));
    const top = Math.max(Math.ceil((most * 1.15) / 4) * 4, 4);
    const first = HISTORY - history.length;
    const points = field =>
      history.map((status, index) => `${first + index},${(HEIGHT * (1 - status[field] / top)).toFixed(2)}`).join(" ");
    const chart = byId("chart");
    const outstanding = points("outstanding");
    chart.querySelector("polyline.outstanding").setAttribute("points", outstanding);
    chart.querySelector("polyline.waiting").setAttribute("points", points("waiting"));
    chart.querySelector("polygon").setAttribute("points", `${first},${HEIGHT} ${outstanding} ${HISTORY - 1},${HEIGHT}`);
    chart.parentElement.querySelector(".top").textContent = count(top);
    chart.parentElement.querySelector(".half").textContent = count(top / 2);
    if (this.#shown % DESCRIBED_EVERY !== 0) return;
    const now = history.at(-1);
    chart.setAttribute(
      "aria-label",
      `Line chart of the last minute. Outstanding: ${count(now.outstanding)} now, ` +
        `at most ${count(highest("outstanding"))}. Waiting: ${count(now.waiting)} now, ` +
        `at most ${count(highest("waiting"))}.`,
    );
  }

  #showWaits(waitTimes) {
    const counts = WAITS.map(() => 0);
    for (const { up_to, count } of waitTimes) counts[WAITS.findIndex(([longest]) => up_to <= longest)] += count;
    const most = Math.max(...counts, 1);
    for (const [index, { bar, number }] of this.#rows.entries()) {
      bar.parentElement.dataset.count = counts[index];
      // The fewest are still seen beside the most.
      bar.setAttribute("width", counts[index] === 0 ? 0 : Math.max((counts[index] * 100) / most, 1));
      number.textContent = count(counts[index]);
    }
  }
}

function row(label) {
  const element = document.createElement("tr");
  element.innerHTML =
    '<th scope="row"></th>' +
    '<td><svg viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true"><rect height="12"/></svg></td>' +
    "<td></td>";
  element.querySelector("th").textContent = label === "longer" ? label : `≤ ${label}`;
  return { element, bar: element.querySelector("rect"), number: element.lastElementChild };
}
