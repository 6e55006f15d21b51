// SPDX-License-Identifier: EUPL-1.2
// Keeps the console live. The server renders the list; nothing moves under a pointer or a form.

import * as ages from "./ages.js";
import { listen } from "./live.js";

const REFRESH_MS = 700;
const ANNOUNCE_MS = 10000;

const live = document.getElementById("live");
const pill = document.getElementById("changes");
const status = document.getElementById("status");
let known = identities();
let waiting = false;
let lastFetch = 0;
let changed = new Set();
let lastAnnounced = 0;
let health = null;

function identities() {
  return new Set([...live.querySelectorAll("[data-alert]")].map((row) => row.dataset.alert));
}

function isBusy() {
  return live.querySelector("details[open] form.acknowledge") !== null
    || live.contains(document.activeElement)
    || live.querySelector(".alert-list:hover") !== null
    || live.querySelector(".filters form:hover") !== null;
}

async function replace() {
  pill.hidden = true;
  const response = await fetch(`/fragments/console${location.search}`);
  if (!response.ok) return;
  const opened = live.querySelector(".filters")?.open;
  live.innerHTML = await response.text();
  if (opened) live.querySelector(".filters").open = true;
  const now = identities();
  for (const row of live.querySelectorAll("[data-alert]")) {
    if (!known.has(row.dataset.alert)) row.classList.add("fresh");
  }
  known = now;
  showHealth();
  ages.refresh(live);
}

function refresh() {
  if (waiting) return;
  waiting = true;
  setTimeout(async () => {
    waiting = false;
    lastFetch = Date.now();
    if (isBusy()) pill.hidden = false;
    else await replace();
  }, Math.max(0, lastFetch + REFRESH_MS - Date.now()));
}

function announce() {
  if (changed.size === 0 || Date.now() - lastAnnounced < ANNOUNCE_MS) return;
  status.textContent = live.dataset.news.replace("{count}", changed.size);
  changed = new Set();
  lastAnnounced = Date.now();
}

function showHealth() {
  showState(true);
  if (!health) return;
  const last = live.querySelector("#health-last .age");
  if (last && health.last_reading_at) last.dataset.time = health.last_reading_at / 1e6;
  const backlog = live.querySelector("#health-backlog");
  backlog.textContent = backlog.textContent.replace(/\d+/, health.backlog);
}

function showState(connected) {
  const cell = live.querySelector("#health-live");
  cell.textContent = connected ? cell.dataset.on : cell.dataset.lost;
  cell.className = connected ? "on" : "lost";
}

pill.addEventListener("click", replace);
setInterval(announce, 1000);
ages.start();
listen({
  heartbeat: (figures) => { health = figures; showHealth(); },
  alerts: (rows) => { rows.forEach((row) => changed.add(row.alert_id)); refresh(); },
  // New aggregates alone never bring up the pill: they are no news for somebody filling a form.
  aggregates: () => { if (!isBusy()) refresh(); },
  reset: refresh,
}, showState);
document.documentElement.dataset.ready = "true";
