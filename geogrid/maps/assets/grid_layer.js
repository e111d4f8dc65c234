// Paints thousands of polygons or points on one canvas of a Leaflet map, and finds them again
// under the pointer. Data come packed: see payload.py.
(function () {
  "use strict";

  const UNIT = 1e-6; // degrees a step
  const SKIP = 0.7; // pixels: nearer vertices cannot be told apart
  const DOT = 1.5; // pixels: smaller polygons are painted as rectangles
  const LINES_FROM = 9; // pixels: lines round smaller polygons would hide the fill
  const PADDING = 0.15; // share of the view painted beyond each side, for panning

  // ---- unpacking

  function bytes(text) {
    const raw = atob(text);
    const found = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) found[i] = raw.charCodeAt(i);
    return found;
  }

  function numbers(text) {
    const packed = bytes(text);
    let n = 0;
    for (let i = 0; i < packed.length; i++) if (packed[i] < 128) n++;
    const found = new Float64Array(n);
    let value = 0, factor = 1;
    for (let i = 0, k = 0; i < packed.length; i++) {
      value += (packed[i] & 127) * factor;
      if (packed[i] < 128) { found[k++] = value; value = 0; factor = 1; } else factor *= 128;
    }
    return found;
  }

  // Web mercator pixels of zoom 0, y southward.
  function world(text) {
    const found = numbers(text);
    let lon = 0, lat = 0;
    for (let i = 0; i < found.length; i += 2) {
      lon += found[i] % 2 ? -(found[i] + 1) / 2 : found[i] / 2;
      lat += found[i + 1] % 2 ? -(found[i + 1] + 1) / 2 : found[i + 1] / 2;
      const sine = Math.sin((lat * UNIT * Math.PI) / 180);
      found[i] = 256 * ((lon * UNIT) / 360 + 0.5);
      found[i + 1] = 256 * (0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI));
    }
    return found;
  }

  function running(sizes) {
    const starts = new Uint32Array(sizes.length + 1);
    for (let i = 0; i < sizes.length; i++) starts[i + 1] = starts[i] + sizes[i];
    return starts;
  }

  function unpack(payload) {
    const xy = world(payload.xy);
    const one = () => new Float64Array(xy.length / 2).fill(1);
    const vertex = running(payload.sizes ? numbers(payload.sizes) : one());
    const ring = running(payload.rings ? numbers(payload.rings) : one());
    const n = ring.length - 1;
    const box = new Float64Array(4 * n);
    for (let f = 0; f < n; f++) {
      let w = Infinity, s = Infinity, e = -Infinity, m = -Infinity;
      for (let v = vertex[ring[f]]; v < vertex[ring[f + 1]]; v++) {
        const x = xy[2 * v], y = xy[2 * v + 1];
        if (x < w) w = x;
        if (x > e) e = x;
        if (y < s) s = y;
        if (y > m) m = y;
      }
      box.set([w, s, e, m], 4 * f);
    }
    return { xy, vertex, ring, box, n };
  }

  // ---- the layer

  const CanvasLayer = L.Layer.extend({
    initialize(payload, style) {
      this.data = payload;
      this.style = style;
      this.shapes = unpack(payload);
      this._order = byClass(payload.classes, this.shapes.n);
      this._size = medianSize(this.shapes.box);
    },

    onAdd(map) {
      this._canvas = L.DomUtil.create("canvas", "geogrid-canvas leaflet-zoom-animated");
      this._canvas.style.zIndex = this._zIndex || "";
      this.getPane().appendChild(this._canvas);
      pointer(map).layers.add(this);
      this.redraw();
    },

    onRemove(map) {
      this._canvas.remove();
      pointer(map).layers.delete(this);
    },

    getEvents() {
      return { moveend: this.redraw, resize: this.redraw, zoomanim: this._animate };
    },

    setZIndex(value) { // called by the layer control
      this._zIndex = value;
      if (this._canvas) this._canvas.style.zIndex = value;
    },

    visible() {
      return this._map && this._map.getZoom() >= (this.style.minZoom || 0);
    },

    _animate(event) {
      const map = this._map;
      L.DomUtil.setTransform(
        this._canvas,
        map._latLngToNewLayerPoint(this._corner, event.zoom, event.center),
        map.getZoomScale(event.zoom, this._zoom));
    },

    redraw() {
      const map = this._map, canvas = this._canvas;
      const size = map.getSize(), ratio = Math.min(window.devicePixelRatio || 1, 2);
      const from = size.multiplyBy(-PADDING).round(), full = size.multiplyBy(1 + 2 * PADDING).round();
      const topLeft = map.containerPointToLayerPoint(from);
      canvas.width = full.x * ratio;
      canvas.height = full.y * ratio;
      canvas.style.width = full.x + "px";
      canvas.style.height = full.y + "px";
      this._corner = map.layerPointToLatLng(topLeft);
      this._zoom = map.getZoom();
      L.DomUtil.setTransform(canvas, topLeft, 1);
      if (!this.visible()) return;
      // Without a graphics card the browser's GPU canvas takes 25 s for 15,000 polygons, this 0.3 s.
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      const scale = map.getZoomScale(this._zoom, 0);
      const origin = map.getPixelOrigin().add(topLeft);
      this._paint(context, { scale, x: origin.x, y: origin.y, width: full.x, height: full.y });
    },

    _paint(context, view) {
      const inside = this._order.filter((f) => this._inView(f, view));
      if (this.style.radius) return this._paintPoints(context, view, inside);
      if (this.style.fills) this._fill(context, view, inside);
      const near = !this.data.codes || this._size * view.scale >= LINES_FROM;
      if (near) this._stroke(context, view, inside);
    },

    _paintPoints(context, view, inside) {
      const { xy } = this.shapes, radius = this.style.radius;
      context.fillStyle = this.style.line;
      context.strokeStyle = "rgba(255,255,255,.85)";
      context.lineWidth = 0.8;
      for (const f of inside) {
        context.beginPath();
        context.arc(xy[2 * f] * view.scale - view.x, xy[2 * f + 1] * view.scale - view.y,
          radius, 0, 2 * Math.PI);
        context.fill();
        context.stroke();
      }
    },

    _fill(context, view, inside) {
      const { box } = this.shapes, { classes } = this.data;
      context.lineWidth = 0.6; // closes the seams that antialiasing leaves between neighbours
      let last = -1;
      for (const f of inside) {
        if (classes[f] !== last) {
          last = classes[f];
          context.fillStyle = context.strokeStyle = this.style.fills[last];
        }
        const w = (box[4 * f + 2] - box[4 * f]) * view.scale;
        const h = (box[4 * f + 3] - box[4 * f + 1]) * view.scale;
        if (w < DOT && h < DOT) {
          context.fillRect(box[4 * f] * view.scale - view.x, box[4 * f + 1] * view.scale - view.y,
            Math.max(w, 0.8), Math.max(h, 0.8));
          continue;
        }
        context.beginPath();
        this._trace(context, view, f);
        context.fill("evenodd");
        context.stroke();
      }
    },

    _stroke(context, view, inside) {
      context.strokeStyle = this.style.line;
      const wide = this.data.codes && this._size * view.scale > 60 ? 2 : 1;
      context.lineWidth = this.style.width * wide;
      context.lineJoin = "round";
      context.globalAlpha = this.data.codes ? 0.75 : 0.9;
      for (const f of inside) {
        context.beginPath();
        this._trace(context, view, f);
        context.stroke();
      }
      context.globalAlpha = 1;
    },

    _trace(context, view, f) {
      const { xy, vertex, ring } = this.shapes;
      for (let r = ring[f]; r < ring[f + 1]; r++) {
        let lastX = Infinity, lastY = Infinity;
        for (let v = vertex[r]; v < vertex[r + 1]; v++) {
          const x = xy[2 * v] * view.scale - view.x, y = xy[2 * v + 1] * view.scale - view.y;
          if (v === vertex[r]) context.moveTo(x, y);
          else if (Math.abs(x - lastX) < SKIP && Math.abs(y - lastY) < SKIP) continue;
          else context.lineTo(x, y);
          lastX = x;
          lastY = y;
        }
        context.closePath();
      }
    },

    _inView(f, view) {
      const { box } = this.shapes;
      return box[4 * f + 2] * view.scale >= view.x && box[4 * f] * view.scale <= view.x + view.width &&
        box[4 * f + 3] * view.scale >= view.y && box[4 * f + 1] * view.scale <= view.y + view.height;
    },

    // ---- finding

    find(latlng) {
      if (!this.data.codes || !this.visible()) return -1;
      const point = this._map.project(latlng, 0);
      return this.style.radius ? this._nearest(point) : this._containing(point);
    },

    _nearest(point) {
      const { xy, n } = this.shapes;
      const reach = (this.style.radius + 3) / this._map.getZoomScale(this._map.getZoom(), 0);
      let best = -1, least = reach * reach;
      for (let f = 0; f < n; f++) {
        const d = (xy[2 * f] - point.x) ** 2 + (xy[2 * f + 1] - point.y) ** 2;
        if (d < least) { least = d; best = f; }
      }
      return best;
    },

    _containing(point) { // 15,000 boxes take 0.05 ms: no index is needed
      const { box, n } = this.shapes;
      for (let f = 0; f < n; f++) {
        if (point.x >= box[4 * f] && point.x <= box[4 * f + 2] &&
            point.y >= box[4 * f + 1] && point.y <= box[4 * f + 3] &&
            this._contains(f, point)) return f;
      }
      return -1;
    },

    _contains(f, point) {
      const { xy, vertex, ring } = this.shapes;
      let odd = false;
      for (let r = ring[f]; r < ring[f + 1]; r++) {
        for (let v = vertex[r], w = vertex[r + 1] - 1; v < vertex[r + 1]; w = v++) {
          const y0 = xy[2 * w + 1], y1 = xy[2 * v + 1];
          if (y0 > point.y !== y1 > point.y &&
              point.x < ((xy[2 * w] - xy[2 * v]) * (point.y - y1)) / (y0 - y1) + xy[2 * v]) odd = !odd;
        }
      }
      return odd;
    },

    outline(f) {
      const { xy, vertex, ring } = this.shapes, found = [];
      for (let r = ring[f]; r < ring[f + 1]; r++) {
        const points = [];
        for (let v = vertex[r]; v < vertex[r + 1]; v++) {
          points.push(this._map.unproject([xy[2 * v], xy[2 * v + 1]], 0));
        }
        found.push(points);
      }
      return found;
    },

    describe(f) { // text nodes only: names come from files
      const { codes, names, households, places, place } = this.data;
      const found = L.DomUtil.create("div", "geogrid-card");
      const row = (name, text) => { L.DomUtil.create("div", name, found).textContent = text; };
      row("geogrid-kind", this.style.title);
      row("geogrid-name", names[f] || codes[f]);
      if (names[f] && codes[f]) row("geogrid-code", codes[f]);
      if (households) row("geogrid-fact", households[f].toLocaleString("en") + " 户 households");
      if (places) row("geogrid-place", places[place[f]]);
      return found;
    },
  });

  function byClass(classes, n) {
    const order = Uint32Array.from({ length: n }, (_, f) => f);
    return classes ? order.sort((a, b) => classes[a] - classes[b] || a - b) : order;
  }

  function medianSize(box) {
    const sizes = new Float64Array(box.length / 4);
    for (let f = 0; f < sizes.length; f++) {
      sizes[f] = Math.max(box[4 * f + 2] - box[4 * f], box[4 * f + 3] - box[4 * f + 1]);
    }
    return sizes.sort()[sizes.length >> 1] || 0;
  }

  // ---- hover and click: one listener a map asks the layers, the last added first

  function pointer(map) {
    if (map._geogrid) return map._geogrid;
    const state = (map._geogrid = { layers: new Set() });
    const tooltip = L.tooltip({ direction: "top", offset: [0, -6], opacity: 0.96 });
    const mark = L.polygon([], { color: "#e6550d", weight: 2.5, fill: false, interactive: false });
    const popup = L.popup({ maxWidth: 320 });
    let waiting = null;

    function under(latlng) {
      const layers = [...state.layers].sort((a, b) => (b._zIndex || 0) - (a._zIndex || 0));
      for (const layer of layers) {
        const f = layer.find(latlng);
        if (f >= 0) return { layer, f };
      }
      return null;
    }

    function show(latlng) {
      const hit = under(latlng);
      map.getContainer().style.cursor = hit ? "pointer" : "";
      if (!hit) { tooltip.remove(); mark.remove(); return; }
      if (!popup.isOpen()) tooltip.setLatLng(latlng).setContent(hit.layer.describe(hit.f)).addTo(map);
      mark.setLatLngs(hit.layer.outline(hit.f)).addTo(map);
    }

    map.on("mousemove", (event) => {
      if (!waiting) requestAnimationFrame(() => { if (waiting) show(waiting); waiting = null; });
      waiting = event.latlng;
    });
    map.on("mouseout movestart", () => { waiting = null; tooltip.remove(); mark.remove(); });
    map.on("click", (event) => {
      const hit = under(event.latlng);
      if (!hit) return;
      tooltip.remove();
      popup.setLatLng(event.latlng).setContent(hit.layer.describe(hit.f)).openOn(map);
    });
    return state;
  }

  // ---- title, legend, scale

  function box(position, name, fill) {
    const control = L.control({ position });
    control.onAdd = () => {
      const found = L.DomUtil.create("div", "geogrid-box " + name);
      L.DomEvent.disableClickPropagation(found);
      fill(found);
      return found;
    };
    return control;
  }

  function furnish(map, content) {
    L.control.scale({ imperial: false, position: "bottomleft" }).addTo(map);
    box("bottomright", "geogrid-legend", (found) => {
      L.DomUtil.create("div", "geogrid-heading", found).textContent = content.heading;
      for (const row of content.legend) {
        const line = L.DomUtil.create("div", "geogrid-row", found);
        L.DomUtil.create("i", "", line).style.background = row.fill;
        line.append(row.text);
      }
    }).addTo(map);
    const title = L.DomUtil.create("div", "geogrid-box geogrid-title", map.getContainer());
    L.DomUtil.create("h1", "", title).textContent = content.title;
    L.DomUtil.create("p", "", title).textContent = content.subtitle;
    document.title = content.title;
  }

  L.geogrid = { layer: (payload, style) => new CanvasLayer(payload, style), furnish, unpack };
})();
