// Keys, and what else is nicer with script: every page works without it.
//
// A page takes part by attributes:
//   data-row            a row of a list; its first link of h3 (or data-to) is what j and k focus
//   data-key="f"        what a key clicks: first within the focused row, else anywhere on the page
//   data-go="n"         a link that `g n` follows
//   data-time-zone      a field that begins with the browser's time zone
//   data-copy="#id"     a button that copies the value or text of another element
"use strict";

const rows = () => [...document.querySelectorAll("[data-row]")];
const mainLink = (row) => row.querySelector("[data-to], h3 a, a, button");
const currentRow = () => document.activeElement?.closest("[data-row]");
const isTyping = (target) => target.closest("input, textarea, select, [contenteditable]");
let isGoing = false;

function move(step) {
  const all = rows();
  const at = all.indexOf(currentRow());
  const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step];
  if (!next) return;
  mainLink(next)?.focus();
  next.scrollIntoView({ block: "nearest" });
}

function press(key) {
  const find = (place) => place?.querySelector(`[data-key="${CSS.escape(key)}"]`);
  const target = find(currentRow()) ?? [...document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)]
    .find((each) => !each.closest("[data-row]"));
  target?.click();
  return Boolean(target);
}

function hear(event) {
  if (document.documentElement.dataset.keys === "off") return;
  if (event.ctrlKey || event.altKey || event.metaKey || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  const key = event.key;
  if (isGoing) {
    isGoing = false;
    document.querySelector(`[data-go="${CSS.escape(key)}"]`)?.click();
  } else if (key === "g") {
    isGoing = true;
    setTimeout(() => { isGoing = false; }, 1500);
    return;
  } else if (key === "j" || key === "k") move(key === "j" ? 1 : -1);
  else if (key === "/") document.querySelector("input[type=search]")?.focus();
  else if (key === "o" && currentRow()) mainLink(currentRow())?.click();
  else if (key.length !== 1 || !press(key)) return;
  event.preventDefault();
}

document.addEventListener("keydown", hear);

// The list of keys opens where the reader is.
document.querySelector('[data-key="?"]')?.addEventListener("click", (event) => {
  const help = document.querySelector("#keys-help");
  if (!help) return;
  event.preventDefault();
  help.showModal();
});

// An open menu closes when the reader goes elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.who[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.who[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// Browsers have no clipboard for pages that come unencrypted over a network.
for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  await navigator.clipboard.writeText(source.value ?? source.textContent.trim());
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 2000);
});

// The reader's own time zone, where none was chosen.
for (const field of document.querySelectorAll("[data-time-zone]")) {
  if (field.value === "UTC") field.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}

// What comes while the page is open can wait until the page is there.
const live = document.documentElement.dataset.live;
if (live) window.addEventListener("load", () => import(live));
