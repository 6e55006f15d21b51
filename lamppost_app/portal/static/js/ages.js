// SPDX-License-Identifier: EUPL-1.2
// Keeps printed ages true while a page stays open.

const UNITS = [[86400, "d", 172800], [3600, "h", 7200], [60, "min", 120], [1, "s", 0]];

export function duration(seconds) {
  const [size, unit] = UNITS.find(([, , from]) => seconds >= from);
  return `${Math.round(seconds / size)} ${unit}`;
}


// The server's clock and the browser's may differ; ages are told by the server's.
let offset = 0;

export function agree(serverMilliseconds) {
  offset = serverMilliseconds - Date.now();
}

export function refresh(root = document) {
  for (const element of root.querySelectorAll(".age[data-time]")) {
    const seconds = (Date.now() + offset - Number(element.dataset.time)) / 1000;
    if (seconds >= 0) element.textContent = `${duration(seconds)} ago`;
  }
}

export function start() {
  setInterval(refresh, 1000);
}
