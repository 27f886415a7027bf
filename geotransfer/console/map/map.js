/* A MapLibre map inside a Streamlit component. What it shows is declared in data.styles; here is
   what only the browser can do: camera, clicks, drawing, swipe, grid of degrees, texts. */

const boards = new WeakMap(); // parent element -> Board
const memory = new Map(); // component key -> camera and drawing; outlives a visit to another page
const STEPS = [30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];

export default function show(component) {
  const { parentElement } = component;
  const board = boards.get(parentElement) ?? new Board(parentElement);
  boards.set(parentElement, board);
  board.show(component);
  return () => boards.delete(parentElement) && board.close();
}

const resolve = (path) => new URL(path, location.origin).href;
const round = (value) => Number(value.toFixed(7));
const formatPlace = ({ lng, lat }) => `${lat.toFixed(5)}, ${lng.toFixed(5)}`;
const getCamera = (map) => ({ center: map.getCenter(), zoom: map.getZoom() });
const makeFeature = (type, coordinates, properties) => {
  return { type: "Feature", properties, geometry: { type, coordinates } };
};

async function loadLibrary(base, frame) {
  const link = document.createElement("link");
  Object.assign(link, { rel: "stylesheet", href: resolve(`${base}/vendor/maplibre-gl.css?v=5.3`) });
  const isStyled = new Promise((done) => (link.onload = link.onerror = done));
  frame.prepend(link);
  await Promise.all([import(resolve(`${base}/vendor/maplibre-gl.js?v=5.3`)), isStyled]);
  return globalThis.maplibregl;
}

class Board {
  corners = []; // of the polygon being drawn

  constructor(parent) {
    const elements = [...parent.querySelectorAll("[data-part]")];
    this.parts = Object.fromEntries(elements.map((element) => [element.dataset.part, element]));
    const { frame, swipe, finish, undo, clear } = this.parts;
    swipe.addEventListener("input", () => frame.style.setProperty("--swipe", swipe.value / 100));
    finish.addEventListener("click", () => this.finish());
    undo.addEventListener("click", () => this.undo());
    clear.addEventListener("click", () => this.draw([], []));
  }

  async show(component) {
    this.component = component;
    this.data = component.data;
    this.parts.frame.style.height = `${this.data.height}px`;
    try {
      this.opened ??= this.open();
      await this.opened;
      if (!this.isClosed) this.apply();
    } catch (error) {
      this.opened = null;
      this.parts.alarm.textContent = error.message.includes("WebGL")
        ? "This browser offers no WebGL, which the map needs; switch its hardware acceleration on."
        : `The map cannot be loaded (${error.message}); reload the page.`;
    }
  }

  async open() {
    const { base, key, focus, view, drawing } = this.data;
    const { frame, after } = this.parts;
    this.lib = await loadLibrary(base, frame);
    if (this.isClosed) return;
    const past = memory.get(key);
    const kept = (this.kept = { ...drawing, focus });
    if (past?.revision === drawing.revision) kept.features = past.features;
    if (past?.focus === focus) kept.camera = past.camera;
    memory.set(key, kept);
    const start = kept.camera ?? { ...view, fitBoundsOptions: { padding: 24 } };
    const map = (this.map = this.makeMap(after, "after", start));
    map.addControl(new this.lib.NavigationControl({ showCompass: false }), "top-right");
    map.addControl(new this.lib.FullscreenControl({ container: frame }), "top-right");
    map.addControl(new this.lib.ScaleControl({ unit: "metric" }), "bottom-left");
    map.keyboard.disableRotation();
    map.touchZoomRotate.disableRotation();
    map.on("click", (event) => this.act(event.lngLat, event.point));
    map.on("mousemove", (event) => this.point(event));
    map.on("mouseout", () => this.point(null));
    map.on("move", () => this.before?.jumpTo(getCamera(map)));
    map.on("moveend", (event) => this.settle(event));
    map.getCanvas().addEventListener("keydown", (event) => this.press(event));
    await map.once("style.load");
    // What was drawn before the page was left is told again: the page has forgotten it.
    if (kept.features.length > drawing.features.length) this.draw([], [...kept.features]);
  }

  makeMap(container, side, options) {
    const map = new this.lib.Map({
      container,
      style: this.paint(side),
      attributionControl: { compact: true, customAttribution: "MapLibre" },
      dragRotate: false,
      maxPitch: 0,
      maxZoom: 21,
      fadeDuration: 0,
      // No other host is ever asked, whatever a style may name.
      transformRequest: (path) => {
        const url = resolve(path);
        const isOurs = url.startsWith(`${location.origin}/`) || /^(blob|data):/.test(url);
        return { url: isOurs ? url : "data:," };
      },
      ...options,
    });
    map.on("styleimagemissing", ({ id }) => addText(map, id));
    map.on("error", ({ error }) => this.explain(error));
    return map;
  }

  /* The style of one side in the theme's colours, with what is drawn. */
  paint(side) {
    const { theme, colors, styles, hasGrid } = this.data;
    const { frame } = this.parts;
    frame.dataset.theme = theme === "auto" ? getComputedStyle(frame).colorScheme : theme;
    const table = colors[frame.dataset.theme] ?? colors.light;
    const replace = (_, value) => (value?.[0] === "@" ? (table[value.slice(1)] ?? value) : value);
    const style = JSON.parse(JSON.stringify(styles[side]), replace);
    style.sources.drawn.data = this.collect();
    if (this.map && hasGrid) style.sources.grid.data = makeGrid(this.map);
    return style;
  }

  apply() {
    const { data, kept, map, parts } = this;
    const { swipe, view } = data;
    parts.alarm.textContent = "";
    map.getCanvas().setAttribute("aria-label", data.description);
    if (kept.revision !== data.drawing.revision || data.draw !== "polygon") this.corners = [];
    if (kept.revision !== data.drawing.revision) Object.assign(kept, data.drawing);
    map.setStyle(this.paint("after"), { diff: true });
    parts.frame.toggleAttribute("data-swipe", Boolean(swipe));
    if (swipe) {
      [parts.left.textContent, parts.right.textContent] = swipe;
      parts.swipe.setAttribute("aria-label", `${swipe[0]} at the left, ${swipe[1]} at the right`);
      const still = { ...getCamera(map), interactive: false, attributionControl: false };
      if (this.before) this.before.setStyle(this.paint("before"), { diff: true });
      else this.before = this.makeMap(parts.before, "before", still);
    } else {
      this.before?.remove();
      this.before = null;
    }
    if (kept.focus !== data.focus) {
      const camera = view.bounds ? map.cameraForBounds(view.bounds, { padding: 24 }) : view;
      map.jumpTo(camera, { isAsked: true });
      kept.focus = data.focus;
    }
    this.refresh();
  }

  close() {
    this.isClosed = true;
    clearTimeout(this.timer);
    this.before?.remove();
    this.map?.remove();
  }

  async explain({ message, body }) {
    const answer = await new Response(body).json().catch(() => ({})); // our routes answer a sentence
    this.parts.alarm.textContent = `Part of the map is missing: ${answer.error ?? message}`;
  }

  settle(event) {
    const { map, kept, data } = this;
    const [center, bounds] = [map.getCenter().wrap().toArray(), map.getBounds().toArray().flat()];
    kept.camera = { center: center.map(round), zoom: round(map.getZoom()) };
    const grid = data.hasGrid && makeGrid(map);
    if (grid) for (const each of [map, this.before]) each?.getSource("grid")?.setData(grid);
    if (event.isAsked) return; // the page knows where it moved the camera itself
    clearTimeout(this.timer);
    const view = { ...kept.camera, bounds: bounds.map(round) };
    this.timer = setTimeout(() => this.component.setStateValue("view", view), 250);
  }

  /* The feature that takes clicks or tells its text under a pixel. */
  find(pixel) {
    const layers = Object.keys(this.data.pickable).filter((id) => this.map.getLayer(id));
    return this.map.queryRenderedFeatures(pixel, { layers })[0];
  }

  point(event) {
    const { tip, place, frame } = this.parts;
    const feature = event && this.data.draw === "none" ? this.find(event.point) : null;
    const text = feature?.properties[this.data.pickable[feature.layer.id].text];
    tip.textContent = text ?? "";
    tip.style.translate = `${Math.min(event?.point.x, frame.clientWidth - 190)}px ${event?.point.y}px`;
    this.map.getCanvas().style.cursor = feature ? "pointer" : "crosshair";
    place.textContent = event ? formatPlace(event.lngLat.wrap()) : "";
  }

  press(event) {
    const center = this.map.getCenter();
    if (event.key === "Enter" || event.key === " ") this.act(center, this.map.project(center));
    else if (event.key === "Backspace") this.undo();
    else if (event.key === "Escape") this.draw([]);
    else return;
    event.preventDefault();
  }

  act(lngLat, pixel) {
    const { data, map, corners } = this;
    const { lng, lat } = lngLat.wrap();
    const place = [round(lng), round(lat)];
    const isNear = (corner) => corner && map.project(corner).dist(pixel) < 8;
    if (data.draw === "point") this.add("Point", place);
    else if (corners.length >= 3 && (isNear(corners[0]) || isNear(corners.at(-1)))) this.finish();
    else if (data.draw === "polygon" && !isNear(corners.at(-1))) this.draw([...corners, place]);
    if (data.draw !== "none") return;
    const feature = this.find(pixel);
    const id = feature?.properties[data.pickable[feature.layer.id].id];
    const hit = id === undefined ? {} : { layer: feature.layer.id, feature: String(id) };
    if (feature?.properties.cluster) map.easeTo({ center: lngLat, zoom: map.getZoom() + 2 });
    else this.component.setTriggerValue("click", { lon: place[0], lat: place[1], ...hit });
    this.parts.told.textContent = `Chosen: ${formatPlace({ lng, lat })}`;
  }

  add(type, coordinates) {
    const { label, drawLimit } = this.data;
    const feature = makeFeature(type, coordinates, { label: label?.name ?? "", color: label?.color ?? "" });
    this.draw([], [...this.kept.features, feature].slice(-drawLimit)); // slice(-0) keeps all
  }

  finish() {
    if (this.corners.length >= 3) this.add("Polygon", [[...this.corners, this.corners[0]]]);
  }

  undo() {
    if (this.data.draw === "none") return;
    if (this.corners.length) this.draw(this.corners.slice(0, -1));
    else this.draw([], this.kept.features.slice(0, -1));
  }

  draw(corners, features) {
    this.corners = corners;
    if (features) {
      this.kept.features = features;
      this.component.setStateValue("drawn", { revision: this.kept.revision, features });
    }
    this.refresh();
  }

  collect() {
    const { corners, kept, data } = this;
    const color = data.label?.color ?? "";
    const line = corners.length > 1 ? [makeFeature("LineString", corners, { color })] : [];
    const dots = corners.map((corner) => makeFeature("Point", corner, { color, is_corner: true }));
    return { type: "FeatureCollection", features: [...kept.features, ...line, ...dots] };
  }

  refresh() {
    const { data, kept, corners, parts } = this;
    for (const map of [this.map, this.before]) map?.getSource("drawn")?.setData(this.collect());
    parts.frame.dataset.draw = data.draw;
    parts.finish.disabled = corners.length < 3;
    parts.undo.disabled = parts.clear.disabled = !corners.length && !kept.features.length;
    parts.swatch.style.background = data.label?.color ?? "none";
    const counts = [corners.length && `${corners.length} corners`, `${kept.features.length} drawn`];
    parts.hint.textContent = [data.label?.name, ...counts].filter(Boolean).join(" · ");
    if (data.draw !== "none") parts.told.textContent = parts.hint.textContent;
  }
}

/* Texts are images drawn here: MapLibre's own need fonts from a server. */
function addText(map, id) {
  const [kind, fillStyle, strokeStyle, ...rest] = id.split("|");
  if (kind !== "text" || map.hasImage(id)) return;
  const text = rest.join("|");
  const pen = document.createElement("canvas").getContext("2d");
  const font = (pen.font = "500 24px system-ui, sans-serif");
  const line = { lineWidth: 6, lineJoin: "round", textBaseline: "middle" };
  Object.assign(pen.canvas, { width: Math.ceil(pen.measureText(text).width) + 16, height: 36 });
  Object.assign(pen, { font, fillStyle, strokeStyle, ...line });
  pen.strokeText(text, 8, 18);
  pen.fillText(text, 8, 18);
  map.addImage(id, pen.getImageData(0, 0, pen.canvas.width, 36), { pixelRatio: 2 });
}

/* Lines of degrees, about 140 pixels apart, with labels at the upper and left edge. */
function makeGrid(map) {
  const [[west, south], [east, north]] = map.getBounds().toArray();
  const finest = (140 * (east - west)) / map.getContainer().clientWidth;
  const step = STEPS.findLast((size) => size >= finest) ?? 30;
  const digits = Math.max(0, Math.ceil(-Math.log10(step)));
  const features = [];
  const add = (degrees, [below, above], anchor, from, to) => {
    const side = degrees % 180 === 0 ? "" : degrees < 0 ? below : above;
    const text = `${Math.abs(degrees).toFixed(digits)}° ${side}`;
    features.push(makeFeature("LineString", [from, to], {}), makeFeature("Point", from, { text, anchor }));
  };
  for (let lon = Math.ceil(west / step) * step; lon < east; lon += step) {
    add(((((lon + 180) % 360) + 360) % 360) - 180, "WE", "top", [lon, north], [lon, south]);
  }
  for (let lat = Math.ceil(south / step) * step; lat < north; lat += step) {
    add(lat, "SN", "left", [west, lat], [east, lat]);
  }
  return { type: "FeatureCollection", features };
}
