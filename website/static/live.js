// What comes while the page is open: counts change, and a line says what is new. No row moves.
//
// A browser has few connections to spend: only the tab that is seen listens. One that is seen again,
// or was cut off, continues where it was.
"use strict";

const FIRST_WAIT_MS = 5_000;
const LONGEST_WAIT_MS = 300_000;
const pill = document.querySelector("#pill");
const count = document.querySelector("[data-unread]");
const bar = document.querySelector(".trouble");
const HEAR = { news: announce, read: mark, health: warn, reset: showPill };
let stream = null;
let isOpening = false;
let last = "";
let waitMs = FIRST_WAIT_MS;
let arrived = 0;

async function listen() {
  if (document.hidden || stream || isOpening) return;
  isOpening = true;
  try {
    const { url } = await (await fetch("/live")).json();
    stream = new EventSource(last ? `${url}&last_event_id=${encodeURIComponent(last)}` : url);
  } catch {
    return listenLater();
  } finally {
    isOpening = false;
  }
  stream.addEventListener("open", () => { waitMs = FIRST_WAIT_MS; });
  for (const [kind, act] of Object.entries(HEAR)) {
    stream.addEventListener(kind, (event) => {
      last = event.lastEventId || last;
      act(JSON.parse(event.data));
    });
  }
  // Tickets end; the browser tries again by itself only while it has not given up.
  stream.addEventListener("error", () => {
    if (stream?.readyState !== EventSource.CLOSED) return;
    stream = null;
    listenLater();
  });
  if (document.hidden) stop();
}

function stop() {
  stream?.close();
  stream = null;
}

function listenLater() {
  setTimeout(listen, waitMs);
  waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
}

function announce({ type, data }) {
  show(Number(count?.dataset.unread) + 1);
  const language = pill?.dataset.language;
  if (type !== "NEW_CHAPTER" || (language && language !== data.language)) return;
  arrived += 1;
  showPill();
}

function showPill() {
  if (!pill) return;
  pill.textContent = arrived ? `${arrived} new – show` : "Show what is new";
  pill.hidden = false;
}

function show(unread) {
  if (!count) return;
  count.dataset.unread = unread;
  count.hidden = unread === 0;
  count.querySelector("[data-number]").textContent = unread < 100 ? unread : "99+";
  document.title = (unread ? `(${unread}) ` : "") + document.title.replace(/^\(\d+\) /, "");
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

function warn({ ok, problems }) {
  if (!bar) return;
  bar.hidden = ok;
  const things = problems.length === 1 ? "One thing is" : `${problems.length} things are`;
  bar.querySelector("span").textContent = things;
  document.querySelector("link[rel=icon]").href = ok ? bar.dataset.icon : bar.dataset.iconWrong;
}

document.addEventListener("visibilitychange", () => (document.hidden ? stop() : listen()));
window.addEventListener("pagehide", stop);
window.addEventListener("pageshow", listen);
listen();
