// SPDX-License-Identifier: EUPL-1.2
// The live connection: one EventSource, and a banner when nothing was heard for five seconds.

const SILENCE_MS = 5000;

export function listen(handlers, onState) {
  const banner = document.getElementById("lost");
  let source = null;
  let heard = Date.now();

  function note(connected) {
    banner.hidden = connected;
    onState(connected);
  }

  function open() {
    source = new EventSource("/events");
    for (const name of ["heartbeat", "alerts", "aggregates", "reset"]) {
      source.addEventListener(name, (event) => {
        heard = Date.now();
        note(true);
        handlers[name]?.(JSON.parse(event.data));
      });
    }
  }

  // A hidden page gives its connection back: browsers allow about six to one server.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source.close();
    } else if (source.readyState === EventSource.CLOSED) {
      heard = Date.now();
      open();
      handlers.reset?.();
    }
  });
  setInterval(() => {
    if (document.hidden || Date.now() - heard <= SILENCE_MS) return;
    note(false);
    if (source.readyState === EventSource.CLOSED) open();
  }, 1000);
  open();
}
