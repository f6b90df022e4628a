// The page: what is asked of the server, and where the answers go.

import { Channels } from "./channels.js";
import { every, json } from "./polling.js";
import { Pool, count, uptime } from "./pool.js";
import { showHolders, showViewers } from "./tables.js";

const channels = new Channels();
const pool = new Pool();
const lost = document.getElementById("lost");
let answered = true;

function say(gone) {
  // What changes in a place that is there is read out, once; a place that is only shown is not, by some.
  if (gone === answered) lost.textContent = gone ? "The server does not answer. Trying again …" : "";
  answered = !gone;
}

function show(status) {
  const live = status.channels.filter(channel => channel.live).length;
  const summary = `${count(live)} of ${count(status.channels.length)} channels live · up ${uptime(status.uptime)}`;
  document.getElementById("summary").textContent = summary;
  channels.show(status.channels);
  pool.show(status);
}

for (const place of document.querySelectorAll(".origin")) place.textContent = location.origin;

channels.glimpse();
every(250, async () => {
  let status;
  try {
    status = await json("/status");
  } catch {
    say(true);
    channels.lost();
    return;
  }
  say(false);
  show(status);
}, () => channels.listened);
every(1000, async () => {
  if (!answered) return;
  try {
    showViewers(await json("/viewers"));
    showHolders(await json("/holders"));
  } catch {
    // The status is asked for more often, and says it.
  }
});
