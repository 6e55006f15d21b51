// SPDX-License-Identifier: EUPL-1.2
// Puts the zoomable map in the place of the server's drawing, where the library is installed.

import * as ages from "./ages.js";
import { addGraticule } from "./graticule.js";

const RADIUS = 8;
const holder = document.getElementById("map");

function load(address) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => resolve(window.L);
    script.onerror = reject;
    document.head.append(script);
  });
}

// A circle marker that can take another outline; the hit area stays a circle.
function shapes(L) {
  const outlines = {
    triangle: [[0, -1.2], [1.15, 0.9], [-1.15, 0.9]],
    diamond: [[0, -1.35], [1.35, 0], [0, 1.35], [-1.35, 0]],
  };
  return L.CircleMarker.extend({
    _updatePath() {
      const outline = outlines[this.options.shape];
      const renderer = this._renderer;
      if (!outline) { renderer._updateCircle(this); return; }
      if (!renderer._drawing || this._empty()) return;
      const context = renderer._ctx;
      context.beginPath();
      outline.forEach(([x, y], number) => {
        const to = [this._point.x + x * this._radius, this._point.y + y * this._radius];
        if (number === 0) context.moveTo(...to); else context.lineTo(...to);
      });
      context.closePath();
      renderer._fillStroke(context, this);
    },
  });
}

function popup(marker) {
  const box = document.createElement("div");
  const link = document.createElement("a");
  link.href = `/stations/${encodeURIComponent(marker.sensor)}`;
  link.textContent = marker.name;
  const facts = document.createElement("div");
  facts.textContent = `${marker.value} · ${marker.age} · ${marker.state}`;
  box.append(link, facts);
  return box;
}

function draw(L, markers) {
  const colours = getComputedStyle(document.documentElement);
  const colour = (name) => colours.getPropertyValue(name).trim();
  const Shape = shapes(L);
  holder.replaceChildren();
  const map = L.map(holder, { preferCanvas: true });
  map.attributionControl.setPrefix(false);
  map.fitBounds(L.latLngBounds(markers.map((m) => [m.latitude, m.longitude])).pad(0.2), { maxZoom: 15 });
  addGraticule(L, map);
  for (const marker of markers) {
    const hollow = marker.shape === "hollow";
    new Shape([marker.latitude, marker.longitude], {
      shape: marker.shape,
      radius: RADIUS,
      color: colour("--marker-edge"),
      weight: hollow ? 2 : 1,
      fillColor: marker.colour || (marker.class ? colour(`--scale-${marker.class}`) : colour("--control")),
      fillOpacity: hollow ? 0 : 1,
    }).bindPopup(() => popup(marker)).addTo(map);
  }
  holder.dataset.drawn = String(markers.length);
}

async function enhance() {
  if (!holder?.dataset.leaflet) return;
  const [L, response] = await Promise.all([load(holder.dataset.leaflet), fetch(holder.dataset.markers)]);
  if (response.ok) draw(L, await response.json());
}

ages.start();
// Without the library the drawing of the server simply stays.
enhance().catch(() => {}).finally(() => { document.documentElement.dataset.ready = "true"; });
