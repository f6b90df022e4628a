// The viewers, and which lines of the program hold the samples that are checked out.

import { bytes, count, duration } from "./pool.js";

const byId = id => document.getElementById(id);

export function showViewers({ all, viewers }) {
  const rows = viewers.map(viewer => [
    viewer.channel,
    viewer.address,
    count(viewer.lag),
    count(viewer.skipped),
    bytes(viewer.holds),
    duration(viewer.since),
  ]);
  const summary = rows.length < all ? `${count(all)}, the first ${rows.length}` : count(all);
  fill(byId("viewers"), summary, rows, 2);
}

export function showHolders({ call_sites: sites, text }) {
  const rows = sites.map(site => [
    // The folder says nothing that the file does not.
    site.where.replace(/^.*live_server[/\\](src[/\\])?/, "") + (site.channel ? ` (${site.channel})` : ""),
    count(site.samples),
    duration(site.oldest),
    bytes(site.bytes_used),
    count(site.handles),
  ]);
  fill(byId("holders"), count(rows.length), rows, 1);
  const report = byId("report");
  // A text that is replaced while somebody selects in it cannot be copied.
  if (report.textContent !== text && !report.contains(getSelection().anchorNode)) report.textContent = text;
}

/** Numbers begin with that column. Rows are filled anew, and not replaced, so that what is read stays where it is. */
function fill(section, summary, rows, numbers) {
  section.querySelector(".count").textContent = summary;
  section.querySelector(".scroll").hidden = rows.length === 0;
  section.querySelector(".none").hidden = rows.length > 0;
  const table = section.querySelector("table");
  const body = table.tBodies[0];
  for (const [index, heading] of [...table.tHead.rows[0].cells].entries())
    heading.classList.toggle("number", index >= numbers);
  while (body.rows.length > rows.length) body.deleteRow(-1);
  const names = [...table.tHead.rows[0].cells].map(cell => cell.textContent);
  for (const [index, texts] of rows.entries()) {
    const row = body.rows[index] ?? newRow(body, names, numbers);
    for (const [column, text] of texts.entries()) {
      if (row.cells[column].textContent !== text) row.cells[column].textContent = text;
    }
  }
}

/** On a narrow screen, where the head is not shown, each cell says what it is. */
function newRow(body, names, numbers) {
  const row = body.insertRow();
  for (const [column, name] of names.entries()) {
    const cell = document.createElement(column === 0 ? "th" : "td");
    if (column === 0) cell.scope = "row";
    cell.dataset.name = name;
    cell.classList.toggle("number", column >= numbers);
    row.append(cell);
  }
  return row;
}
