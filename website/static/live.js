// What comes while the page is open: counts change, and a line says what is new. No row moves.
"use strict";

const FIRST_WAIT_MS = 5_000;
const LONGEST_WAIT_MS = 300_000;
const pill = document.querySelector("#pill");
const count = document.querySelector("[data-unread]");
let stream = null;
let waitMs = FIRST_WAIT_MS;
let arrived = 0;

async function listen() {
  if (document.hidden || stream) return;
  try {
    stream = new EventSource((await (await fetch("/live")).json()).url);
  } catch {
    return listenLater();
  }
  stream.addEventListener("open", () => { waitMs = FIRST_WAIT_MS; });
  stream.addEventListener("news", () => { announce(); show(Number(count?.dataset.unread) + 1); });
  stream.addEventListener("read", (event) => mark(JSON.parse(event.data)));
  stream.addEventListener("reset", () => announce());
  // Tickets end; the browser tries again by itself only while it has not given up.
  stream.addEventListener("error", () => {
    if (stream?.readyState !== EventSource.CLOSED) return;
    stream = null;
    listenLater();
  });
}

function listenLater() {
  setTimeout(listen, waitMs);
  waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
}

function announce() {
  arrived += 1;
  if (!pill) return;
  pill.textContent = `${arrived} new – show`;
  pill.hidden = false;
}

function show(unread) {
  if (!count) return;
  count.dataset.unread = unread;
  count.hidden = unread === 0;
  count.querySelector("[data-number]").textContent = unread < 100 ? unread : "99+";
}

function mark({ ids, read, unread }) {
  show(unread);
  const [name, shape] = read ? ["read", "○"] : ["new", "●"];
  for (const id of ids) {
    const row = document.querySelector(`#n-${id}`);
    row?.classList.toggle("is-read", read);
    const state = row?.querySelector(".state");
    if (!state) continue;
    state.className = `state ${name}`;
    state.title = name;
    state.firstElementChild.textContent = shape;
    state.lastElementChild.textContent = name;
  }
}

// A browser has few connections to spend: only the tab that is seen listens.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) return listen();
  stream?.close();
  stream = null;
});
listen();
