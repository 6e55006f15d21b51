// SPDX-License-Identifier: EUPL-1.2
// Lines of equal latitude and longitude with their numbers: the base map that needs no server.

function step(span) {
  const rough = span / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= rough * 0.999);
}

function named(value, positive, negative) {
  return `${Number(Math.abs(value).toFixed(6))}° ${value >= 0 ? positive : negative}`;
}

export function addGraticule(L, map) {
  const colours = getComputedStyle(document.documentElement);
  const style = { color: colours.getPropertyValue("--rule").trim(), weight: 1.5, interactive: false };
  const layer = L.layerGroup().addTo(map);

  function label(position, text) {
    const icon = L.divIcon({ className: "graticule-label", html: text, iconSize: null, iconAnchor: [-4, 18] });
    L.marker(position, { icon, interactive: false, keyboard: false }).addTo(layer);
  }

  function draw() {
    layer.clearLayers();
    const view = map.getBounds();
    const [south, north, west, east] = [view.getSouth(), view.getNorth(), view.getWest(), view.getEast()];
    const apart = step(Math.min(north - south, east - west));
    for (let at = Math.ceil(south / apart) * apart; at <= north; at += apart) {
      L.polyline([[at, west], [at, east]], style).addTo(layer);
      label([at, west], named(at, "N", "S"));
    }
    for (let at = Math.ceil(west / apart) * apart; at <= east; at += apart) {
      L.polyline([[south, at], [north, at]], style).addTo(layer);
      label([south, at], named(at, "E", "W"));
    }
  }

  map.on("moveend", draw);
  draw();
}
