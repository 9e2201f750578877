"use strict";
// The list of all images: pages of fifty rows, worst or best first. Rows are text, never markup.
const SIZE = 50;
const list = document.getElementById("list");
const rows = JSON.parse(document.getElementById("rows").textContent);
const columns = list.dataset.columns.split(" ");
const position = { name: 0, score: 1, lower: 2, upper: 3, label: 4, fault: 5 };
let page = 0;
let isReversed = false;

function write(value) {
  if (typeof value !== "number") return value === null ? "" : value;
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}

function show() {
  const last = Math.max(Math.ceil(rows.length / SIZE) - 1, 0);
  page = Math.min(Math.max(page, 0), last);
  const shown = [];
  for (let at = page * SIZE; at < Math.min(rows.length, (page + 1) * SIZE); at += 1) {
    const row = rows[isReversed ? rows.length - 1 - at : at];
    const line = document.createElement("tr");
    for (const column of columns) {
      const cell = document.createElement(column === "name" ? "th" : "td");
      if (column === "name") cell.scope = "row";
      cell.textContent = write(row[position[column]]);
      cell.title = cell.textContent;
      line.append(cell);
    }
    shown.push(line);
  }
  list.querySelector("tbody").replaceChildren(...shown);
  document.getElementById("place").textContent = `page ${page + 1} of ${last + 1}`;
  document.getElementById("order").textContent = isReversed ? "Worst first" : "Best first";
  document.getElementById("back").disabled = page === 0;
  document.getElementById("on").disabled = page === last;
}

function turn(id, change) {
  document.getElementById(id).addEventListener("click", () => { change(); show(); });
}

turn("back", () => { page -= 1; });
turn("on", () => { page += 1; });
turn("order", () => { isReversed = !isReversed; page = 0; });
document.getElementById("turning").hidden = false;
show();
