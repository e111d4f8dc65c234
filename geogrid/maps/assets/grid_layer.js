// Paints a whole edition on one canvas of a Leaflet map, and tells what lies under the pointer.
//
// Every pixel holds the number of the micro-grid whose land it shows. Colours, hatching and the
// answer to "what is here?" are look-ups in that buffer, and neighbours meet without a seam: a
// border is one line of numbers for both sides. The packed form is described in
// docs/data-format.md; payload.py writes it.
(function (L) {
  "use strict";

  const SKIP = 0.7; // pixels: nearer vertices cannot be told apart
  const DOT = 1.5; // pixels: smaller units are painted as one pixel
  const TINY = 0.4; // pixels: lines shorter than that are left out
  const PADDING = 0.15; // share of the view painted beyond each side, for panning
  const SMOOTH = 30; // milliseconds: what is painted faster is painted while it is dragged
  const NONE = 255; // class of what is not painted
  const FAR = 2 ** 31 - 1; // steps: no vertex is there
  const STROKES = 200; // arcs a path: the browser's time grows with the square of a path's length

  // Lowest first when painted. `from`: mean size in pixels from which lines are drawn.
  const LINES = [
    { width: 2.4, alpha: 0.95, from: 0 }, // city
    { width: 2.0, alpha: 0.9, from: 0 }, // county
    { width: 1.3, alpha: 0.75, from: 28 }, // township
    { width: 1.1, alpha: 0.7, from: 36 }, // village
    { width: 0.9, alpha: 0.6, from: 36 }, // grid
    { width: 0.6, alpha: 0.5, from: 14 }, // microgrid
  ];
  const LINE = "#22303a";
  const LABELS_FROM = 84; // pixels: mean size of a unit from which its level is named
  const KINDS = {
    city: "市 City", county: "县 County", township: "乡镇 Township", village: "村 Village",
    grid: "网格 Grid", microgrid: "微网格 Micro-grid",
  };

  // ---- unpacking

  // Lets the page answer between two stretches of work.
  const channel = new MessageChannel(), waiting = [];
  channel.port1.onmessage = () => waiting.shift()();
  const breathe = () => new Promise((resolve) => { waiting.push(resolve); channel.port2.postMessage(0); });

  // For browsers older than 2025 a loop of its own: Uint8Array.from(atob(text)) takes two seconds on
  // an old computer, and fetch of a data address is forbidden by some pages' policies.
  function bytes(text) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const values = new Uint8Array(128), tail = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
    for (let i = 0; i < 64; i++) values["ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".charCodeAt(i)] = i;
    const found = new Uint8Array((text.length / 4) * 3);
    for (let i = 0, at = 0; i < text.length; i += 4) {
      const four = (values[text.charCodeAt(i)] << 18) | (values[text.charCodeAt(i + 1)] << 12) |
        (values[text.charCodeAt(i + 2)] << 6) | values[text.charCodeAt(i + 3)];
      found[at++] = four >> 16;
      found[at++] = four >> 8;
      found[at++] = four;
    }
    return found.subarray(0, found.length - tail);
  }

  async function gunzip(...parts) {
    if (typeof DecompressionStream === "undefined") return inflate(await joined(parts));
    const { readable, writable } = new DecompressionStream("gzip"), writer = writable.getWriter();
    const found = joined([], readable);
    for (const part of parts) writer.write(part).catch(() => {}); // `found` fails as well
    writer.close().catch(() => {});
    return found;
  }

  const joined = async (parts, stream = new Blob(parts)) => new Uint8Array(await new Response(stream).arrayBuffer());

  // RFC 1951, for browsers older than 2023.
  function inflate(packed) {
    const extra = (i, step) => (i < step ? 0 : (i / step - 1) | 0); // bits that follow code i
    const bases = (first, step, n) => {
      const low = [first];
      for (let i = 0; i + 1 < n; i++) low.push(low[i] + (1 << extra(i, step)));
      return low;
    };
    const lengthBase = [...bases(3, 4, 28), 258], distBase = bases(1, 2, 30);
    const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
    const out = new Uint8Array(view.getUint32(packed.length - 4, true));
    let at = 10, bits = 0, held = 0, put = 0;
    const flags = packed[3];
    if (flags & 4) at += 2 + packed[at] + 256 * packed[at + 1];
    if (flags & 8) while (packed[at++]) ;
    if (flags & 16) while (packed[at++]) ;
    if (flags & 2) at += 2;
    const take = (n) => {
      while (held < n) { bits |= packed[at++] << held; held += 8; }
      const found = bits & ((1 << n) - 1);
      bits >>>= n;
      held -= n;
      return found;
    };
    const tree = (sizes) => {
      const count = new Uint16Array(16), first = new Uint16Array(16), symbols = new Uint16Array(sizes.length);
      for (const size of sizes) if (size) count[size]++;
      for (let i = 1; i < 16; i++) first[i] = first[i - 1] + count[i - 1];
      sizes.forEach((size, symbol) => { if (size) symbols[first[size]++] = symbol; });
      return { count, symbols };
    };
    const symbol = ({ count, symbols }) => {
      for (let size = 1, code = 0, low = 0, index = 0; size < 16; size++) {
        code |= take(1);
        const n = count[size];
        if (code - n < low) return symbols[index + (code - low)];
        index += n;
        low = (low + n) << 1;
        code <<= 1;
      }
      throw new Error("the map's data are damaged");
    };
    const order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    for (let final = 0; !final;) {
      final = take(1);
      const kind = take(2);
      if (kind === 0) {
        bits = held = 0;
        const size = packed[at] + 256 * packed[at + 1];
        out.set(packed.subarray(at + 4, at + 4 + size), put);
        at += 4 + size;
        put += size;
        continue;
      }
      let sizes, nLiterals = 288;
      if (kind === 1) {
        sizes = Array.from({ length: 320 }, (_, i) => i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : i < 288 ? 8 : 5);
      } else {
        nLiterals = take(5) + 257;
        const n = nLiterals + take(5) + 1, codes = new Array(19).fill(0);
        for (let i = 0, m = take(4) + 4; i < m; i++) codes[order[i]] = take(3);
        const meta = tree(codes);
        for (sizes = []; sizes.length < n;) {
          const code = symbol(meta);
          const [value, times] = code < 16 ? [code, 1] : code === 16 ? [sizes[sizes.length - 1], take(2) + 3]
            : [0, code === 17 ? take(3) + 3 : take(7) + 11];
          for (let i = 0; i < times; i++) sizes.push(value);
        }
      }
      const literals = tree(sizes.slice(0, nLiterals)), distances = tree(sizes.slice(nLiterals));
      for (;;) {
        const code = symbol(literals);
        if (code < 256) { out[put++] = code; continue; }
        if (code === 256) break;
        const length = lengthBase[code - 257] + (code === 285 ? 0 : take(extra(code - 257, 4)));
        const far = symbol(distances), distance = distBase[far] + take(extra(far, 2));
        for (let i = 0; i < length; i++, put++) out[put] = out[put - distance];
      }
    }
    return out;
  }

  // Varints from a stretch of bytes; every value below 2^31.
  function numbers(raw, [from, size, count]) {
    const found = new Int32Array(count);
    let at = from;
    for (let k = 0; k < count; k++) {
      let byte = raw[at++], value = byte & 127;
      for (let shift = 7; byte > 127; shift += 7) {
        byte = raw[at++];
        value |= (byte & 127) << shift;
      }
      found[k] = value;
    }
    if (at !== from + size) throw new Error("the map's data are damaged");
    return found;
  }

  const signed = (value) => (value >>> 1) ^ -(value & 1);

  function running(sizes, plus) {
    const starts = new Int32Array(sizes.length + 1);
    for (let i = 0; i < sizes.length; i++) starts[i + 1] = starts[i] + sizes[i] + plus;
    return starts;
  }

  function summed(deltas) {
    let value = 0;
    for (let i = 0; i < deltas.length; i++) deltas[i] = value += signed(deltas[i]);
    return deltas;
  }

  // Sums the differences of vertices in place; returns the box of each arc.
  function placed(xy, arc) {
    const boxes = new Int32Array(4 * (arc.length - 1));
    for (let k = 0, x = 0, y = 0; k + 1 < arc.length; k++) {
      let w = FAR, s = FAR, e = -FAR, m = -FAR;
      for (let p = 2 * arc[k], stop = 2 * arc[k + 1]; p < stop; p += 2) {
        xy[p] = x += signed(xy[p]);
        xy[p + 1] = y += signed(xy[p + 1]);
        if (x < w) w = x;
        if (x > e) e = x;
        if (y < s) s = y;
        if (y > m) m = y;
      }
      boxes[4 * k] = w; boxes[4 * k + 1] = s; boxes[4 * k + 2] = e; boxes[4 * k + 3] = m;
    }
    return boxes;
  }

  // The arcs of the rings: k along an arc, ~k against it.
  function resolved(refs, along) {
    for (let i = 0, seen = 0, next = 0; i < refs.length; i++) {
      if (refs[i] === 0) { refs[i] = seen++; continue; }
      const k = seen - refs[i], same = along[next] === i;
      if (same) next++;
      refs[i] = same ? k : ~k;
    }
    return refs;
  }

  async function unpack(parts) {
    const raw = await gunzip(...parts);
    const size = new DataView(raw.buffer, raw.byteOffset).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(raw.subarray(4, 4 + size)));
    if (header.version !== 1) throw new Error(`map data of version ${header.version}, expected 1`);
    const where = {};
    let at = 4 + size;
    for (const [name, count, length] of header.sections) { where[name] = [at, length, count]; at += length; }
    const read = (name) => numbers(raw, where[name]);
    const levels = header.levels.map((given) => {
      const column = (name) => read(`${given.level}.${name}`);
      return { ...given, n: where[`${given.level}.kind`][2], parents: summed(column("parents")),
        serials: column("serials"), suffix: column("suffix"), kind: column("kind"),
        households: column("households") };
    });
    await breathe();
    const refs = resolved(read("refs"), summed(read("along"))), arc = running(read("arc_sizes"), 2);
    const ring = running(read("ring_sizes"), 0), rings = running(read("unit_rings"), 0);
    const n = rings.length - 1, unit = new Int32Array(n + 1); // refs of a unit: all its rings
    for (let u = 0; u <= n; u++) unit[u] = ring[rings[u]];
    await breathe();
    const xy = read("xy");
    await breathe();
    const city = new City(header, { xy, arc, arcBox: placed(xy, arc), refs, unit, levels, n });
    await breathe();
    return city.prepare();
  }

  // A page holds an edition as blocks of text, which are no script to the browser.
  function held(digest) {
    const blocks = document.querySelectorAll(`script[data-edition="${digest}"]`);
    return Array.from(blocks, (block) => bytes(block.textContent));
  }

  const cities = {};
  const unpacked = (digest, parts) => cities[digest] || (cities[digest] = unpack(parts || held(digest)));

  // ---- the city: units of all levels over one set of arcs

  class City {
    constructor(header, parts) {
      Object.assign(this, parts, { origin: header.origin, zoom: header.zoom, edition: header.edition });
      this.names = this.levels.map(({ level }) => level);
      this._members = [];
      this._anchors = [];
    }

    prepare() {
      this.above = this._ancestors(); // by level, the unit that each micro-grid lies in
      this.unitBox = this._boxes();
      this._borders();
      const [west, south, east, north] = this.extent();
      const area = (east - west) * (north - south);
      this.size = this.levels.map(({ n }) => Math.sqrt((0.7 * area) / n)); // steps; a city fills 0.7 of its box
      return this;
    }

    _ancestors() {
      const found = [], last = this.levels.length - 1, own = new Int32Array(this.n);
      for (let u = 0; u < this.n; u++) own[u] = u;
      found[last] = own;
      for (let depth = last - 1; depth >= 0; depth--) {
        const { parents } = this.levels[depth + 1], below = found[depth + 1];
        const units = (found[depth] = new Int32Array(this.n));
        for (let u = 0; u < this.n; u++) units[u] = below[u] < 0 ? -1 : parents[below[u]];
      }
      return found;
    }

    _boxes() {
      const { arcBox, refs, unit, n } = this, found = new Int32Array(4 * n);
      for (let u = 0; u < n; u++) {
        let w = FAR, s = FAR, e = -FAR, m = -FAR;
        for (let i = unit[u]; i < unit[u + 1]; i++) {
          const k = 4 * (refs[i] < 0 ? ~refs[i] : refs[i]);
          if (arcBox[k] < w) w = arcBox[k];
          if (arcBox[k + 1] < s) s = arcBox[k + 1];
          if (arcBox[k + 2] > e) e = arcBox[k + 2];
          if (arcBox[k + 3] > m) m = arcBox[k + 3];
        }
        found[4 * u] = w; found[4 * u + 1] = s; found[4 * u + 2] = e; found[4 * u + 3] = m;
      }
      return found;
    }

    // The units on both sides of each arc, and the arcs by the highest level that they divide.
    _borders() {
      const { arc, refs, unit, n } = this, nArcs = arc.length - 1;
      const sides = (this.sides = new Int32Array(2 * nArcs).fill(-1));
      for (let u = 0; u < n; u++) {
        for (let i = unit[u]; i < unit[u + 1]; i++) {
          const k = 2 * (refs[i] < 0 ? ~refs[i] : refs[i]);
          sides[sides[k] < 0 ? k : k + 1] = u;
        }
      }
      const depth = new Uint8Array(nArcs), counts = new Array(this.levels.length).fill(0), { above } = this;
      for (let k = 0; k < nArcs; k++) {
        const a = sides[2 * k], b = sides[2 * k + 1];
        let d = b < 0 ? 0 : counts.length - 1;
        while (d > 0 && above[d - 1][a] !== above[d - 1][b]) d--;
        depth[k] = d;
        counts[d]++;
      }
      this.borders = counts.map((count) => new Int32Array(count));
      const filled = counts.map(() => 0);
      for (let k = 0; k < nArcs; k++) this.borders[depth[k]][filled[depth[k]]++] = k;
    }

    extent() {
      let w = Infinity, s = Infinity, e = -Infinity, m = -Infinity;
      const box = this.unitBox;
      for (let u = 0; u < this.n; u++) {
        w = Math.min(w, box[4 * u]); s = Math.min(s, box[4 * u + 1]);
        e = Math.max(e, box[4 * u + 2]); m = Math.max(m, box[4 * u + 3]);
      }
      return [w, s, e, m];
    }

    members(depth, of) {
      if (depth === this.levels.length - 1) return [of];
      if (!this._members[depth]) {
        const lists = (this._members[depth] = Array.from({ length: this.levels[depth].n }, () => []));
        this.above[depth].forEach((unit, u) => { if (unit >= 0) lists[unit].push(u); });
      }
      return this._members[depth][of] || [];
    }

    code(depth, u) {
      if (u < 0) return "";
      const level = this.levels[depth], own = level.codes[u];
      if (own !== undefined) return own;
      return this.code(depth - 1, level.parents[u]) + String(level.serials[u]).padStart(level.width, "0");
    }

    // U+E000 stands for the parent's name, U+E001 for the serial number.
    name(depth, u, short) {
      if (u < 0) return "";
      const level = this.levels[depth], said = level.suffixes[level.suffix[u]];
      const text = said.replace("\ue001", String(level.serials[u]));
      if (!text.startsWith("\ue000")) return text;
      return short ? text.slice(1) : this.name(depth - 1, level.parents[u]) + text.slice(1);
    }

    find(code) {
      for (let depth = 0; depth < this.levels.length; depth++) {
        for (let u = 0; u < this.levels[depth].n; u++) if (this.code(depth, u) === code) return { depth, u };
      }
      return null;
    }

    // A place inside the unit near its middle: the box of the member nearest to the mean.
    anchors(depth) {
      if (this._anchors[depth]) return this._anchors[depth];
      const { unitBox, above, n } = this, count = this.levels[depth].n;
      const sum = new Float64Array(3 * count), found = new Int32Array(2 * count), best = new Float64Array(count).fill(Infinity);
      for (let u = 0; u < n; u++) {
        const t = above[depth][u];
        if (t < 0) continue;
        sum[3 * t] += unitBox[4 * u] + unitBox[4 * u + 2];
        sum[3 * t + 1] += unitBox[4 * u + 1] + unitBox[4 * u + 3];
        sum[3 * t + 2] += 2;
      }
      for (let u = 0; u < n; u++) {
        const t = above[depth][u];
        if (t < 0) continue;
        const x = (unitBox[4 * u] + unitBox[4 * u + 2]) / 2, y = (unitBox[4 * u + 1] + unitBox[4 * u + 3]) / 2;
        const far = (x - sum[3 * t] / sum[3 * t + 2]) ** 2 + (y - sum[3 * t + 1] / sum[3 * t + 2]) ** 2;
        if (far < best[t]) { best[t] = far; found[2 * t] = x; found[2 * t + 1] = y; }
      }
      return (this._anchors[depth] = found);
    }

    // Lines round a unit of any level, as lists of steps.
    outline(depth, of) {
      const inside = new Set(this.members(depth, of)), lines = [];
      for (const u of inside) {
        for (let i = this.unit[u]; i < this.unit[u + 1]; i++) {
          const k = this.refs[i] < 0 ? ~this.refs[i] : this.refs[i];
          const a = this.sides[2 * k], b = this.sides[2 * k + 1];
          if (b < 0 || inside.has(a) !== inside.has(b)) lines.push(k);
        }
      }
      return lines.map((k) => {
        const line = [];
        for (let v = this.arc[k]; v < this.arc[k + 1]; v++) line.push([this.xy[2 * v], this.xy[2 * v + 1]]);
        return line;
      });
    }

    box(depth, of) {
      let w = Infinity, s = Infinity, e = -Infinity, m = -Infinity;
      for (const u of this.members(depth, of)) {
        w = Math.min(w, this.unitBox[4 * u]); s = Math.min(s, this.unitBox[4 * u + 1]);
        e = Math.max(e, this.unitBox[4 * u + 2]); m = Math.max(m, this.unitBox[4 * u + 3]);
      }
      return [w, s, e, m];
    }

    latlng(map, x, y) {
      return map.unproject([x + this.origin[0], y + this.origin[1]], this.zoom);
    }
  }

  // ---- painting: the number of the unit under every pixel

  class Raster {
    constructor(city) {
      const nArcs = city.arc.length - 1;
      this.city = city;
      this.ids = new Int32Array(0);
      this.crossings = new Float64Array(1 << 19); // of all arcs that were met, one after the other
      this.first = new Int32Array(nArcs); // where the crossings of an arc begin, and where they end
      this.end = new Int32Array(nArcs);
      this.stamp = new Int32Array(nArcs); // the turn in which they were found
      this.turn = 0;
      this.own = new Float64Array(1 << 12); // crossings of one unit, from left to right and downwards
    }

    // view: scale (pixels a step), x, y (of the upper left corner), width, height; device pixels.
    draw(view) {
      const { city } = this, { scale, x, y, width, height } = view, box = city.unitBox;
      this.view = view;
      this.stride = width + 8;
      this.turn++;
      this.found = 0;
      if (this.ids.length < width * height) this.ids = new Int32Array(width * height);
      this.ids.fill(-1, 0, width * height);
      for (let u = 0; u < city.n; u++) {
        const w = box[4 * u] * scale - x, e = box[4 * u + 2] * scale - x;
        if (e < 0 || w >= width) continue;
        const n = box[4 * u + 1] * scale - y, s = box[4 * u + 3] * scale - y;
        if (s < 0 || n >= height) continue;
        if ((e - w < DOT && s - n < DOT) || !this._scan(u)) this._dot(u, (w + e) / 2, (n + s) / 2);
      }
    }

    _dot(u, x, y) {
      const column = Math.floor(x), row = Math.floor(y);
      if (column < 0 || row < 0 || column >= this.view.width || row >= this.view.height) return;
      this.ids[row * this.view.width + column] = u;
    }

    // Even-odd: spans between the crossings of each row's middle. False if no middle lies inside.
    _scan(u) {
      const { refs, unit } = this.city, { ids, stride, first, end } = this, { width } = this.view;
      let n = 0;
      for (let i = unit[u]; i < unit[u + 1]; i++) {
        const k = refs[i] < 0 ? ~refs[i] : refs[i];
        if (this.stamp[k] !== this.turn) this._cross(k);
        if (n + end[k] - first[k] > this.own.length) this.own = larger(this.own, n + end[k] - first[k]);
        for (let c = first[k]; c < end[k]; c++) this.own[n++] = this.crossings[c];
      }
      const { own } = this;
      sort(own, n);
      let painted = false;
      for (let i = 0; i + 1 < n; i += 2) {
        const row = Math.floor(own[i] / stride), start = row * stride + 2;
        const from = Math.max(Math.ceil(own[i] - start - 0.5), 0);
        const stop = Math.min(Math.ceil(own[i + 1] - start - 0.5), width);
        const at = row * width;
        if (stop - from > 32) ids.fill(u, at + from, at + stop);
        else for (let c = from; c < stop; c++) ids[at + c] = u;
        if (stop > from) painted = true;
      }
      return painted;
    }

    // Finds where an arc crosses the middles of rows, as row * stride + 2 + x; both its sides use it.
    _cross(k) {
      const { xy, arc } = this.city, { scale, x, y, width, height } = this.view, { stride } = this;
      const last = 2 * arc[k + 1] - 2;
      let p = 2 * arc[k], x0 = xy[p] * scale - x, y0 = xy[p + 1] * scale - y, n = this.found;
      this.stamp[k] = this.turn;
      this.first[k] = n;
      for (p += 2; p <= last; p += 2) {
        const x1 = xy[p] * scale - x, y1 = xy[p + 1] * scale - y;
        if (p < last && Math.abs(x1 - x0) < SKIP && Math.abs(y1 - y0) < SKIP) continue;
        const low = y0 < y1 ? y0 : y1, high = y0 < y1 ? y1 : y0;
        const top = Math.max(Math.ceil(low - 0.5), 0), bottom = Math.min(Math.ceil(high - 0.5), height);
        if (n + bottom - top > this.crossings.length) this.crossings = larger(this.crossings, n + bottom - top);
        for (let row = top; row < bottom; row++) {
          const at = x0 + ((row + 0.5 - y0) * (x1 - x0)) / (y1 - y0);
          this.crossings[n++] = row * stride + 2 + (at < -1 ? -1 : at > width + 1 ? width + 1 : at);
        }
        x0 = x1;
        y0 = y1;
      }
      this.end[k] = this.found = n;
    }

    at(x, y) {
      const { view } = this;
      if (!view || x < 0 || y < 0 || x >= view.width || y >= view.height) return -1;
      return this.ids[Math.floor(y) * view.width + Math.floor(x)];
    }
  }

  function larger(values, size) {
    const found = new Float64Array(2 * size);
    found.set(values);
    return found;
  }

  function sort(values, n) {
    if (n > 48) { values.subarray(0, n).sort(); return; }
    for (let i = 1; i < n; i++) {
      const value = values[i];
      let j = i - 1;
      for (; j >= 0 && values[j] > value; j--) values[j + 1] = values[j];
      values[j + 1] = value;
    }
  }

  const words = new Uint32Array(1), parts = new Uint8Array(words.buffer);
  function word(colour, alpha) { // #rrggbb as a pixel in the machine's order of bytes
    const rgb = parseInt(colour.slice(1), 16);
    parts.set([rgb >> 16, (rgb >> 8) & 255, rgb & 255, Math.round(255 * alpha)]);
    return words[0];
  }

  // What people say: 马庄村 for 马庄村民委员会, 朱庄社区 for 朱庄社区居民委员会, 3号 for 3号微网格.
  const short = (name) => name.replace(/村民委员会$/, "村").replace(/(社区)?居民委员会$/, "社区").replace(/号微网格$/, "号");

  // ---- canvases that move with the map

  const CanvasLayer = L.Layer.extend({
    onAdd(map) {
      this._canvas = L.DomUtil.create("canvas", "geogrid-canvas leaflet-zoom-animated");
      this._canvas.style.zIndex = this._zIndex || "";
      this.getPane().appendChild(this._canvas);
      pointer(map).layers.add(this);
      this.redraw();
    },

    onRemove(map) {
      this._canvas.remove();
      this._canvas = null;
      pointer(map).layers.delete(this);
      pointer(map).forget(this);
    },

    getEvents() {
      return { moveend: this.redraw, move: this._dragged, resize: this.redraw, zoomanim: this._animate };
    },

    setZIndex(value) { // called by the layer control
      this._zIndex = value;
      if (this._canvas) this._canvas.style.zIndex = value;
    },

    _dragged() { // near a street-level view is painted while it is dragged
      if (this._map.dragging && this._map.dragging.moving() && this.took < SMOOTH) this.redraw();
    },

    _animate(event) {
      if (!this.painted) return;
      const map = this._map;
      L.DomUtil.setTransform(
        this._canvas,
        map._latLngToNewLayerPoint(this._corner, event.zoom, event.center),
        map.getZoomScale(event.zoom, this._zoom));
    },

    redraw() {
      const map = this._map, canvas = this._canvas;
      if (!map || !canvas || !this.loaded) return;
      const begun = performance.now();
      const size = map.getSize(), ratio = (this._ratio = Math.min(window.devicePixelRatio || 1, 2));
      const from = size.multiplyBy(-PADDING).round(), full = size.multiplyBy(1 + 2 * PADDING).round();
      const topLeft = (this._topLeft = map.containerPointToLayerPoint(from));
      const width = Math.round(full.x * ratio), height = Math.round(full.y * ratio);
      if (canvas.width !== width) canvas.width = width;
      if (canvas.height !== height) canvas.height = height;
      canvas.style.width = full.x + "px";
      canvas.style.height = full.y + "px";
      this._corner = map.layerPointToLatLng(topLeft);
      this._zoom = map.getZoom();
      L.DomUtil.setTransform(canvas, topLeft, 1);
      // Without a graphics card the browser's GPU canvas is many times slower than this one.
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, width, height);
      const origin = map.getPixelOrigin().add(topLeft);
      this.paint(context, { ratio, width, height, x: origin.x * ratio, y: origin.y * ratio });
      this.took = performance.now() - begun;
      this.painted = true;
      canvas.dataset.painted = Math.round(performance.now());
      map.fire("geogrid:painted", { layer: this, took: this.took });
    },

    // Where a place lies on the canvas, in its own pixels.
    _onCanvas(latlng) {
      const point = this._map.latLngToLayerPoint(latlng).subtract(this._topLeft);
      return point.multiplyBy(this._ratio);
    },
  });

  // ---- the layer of an edition

  const GridLayer = CanvasLayer.extend({
    // digest: of the packed edition, which the page holds or which is given; layers share it.
    initialize(digest, style, parts) {
      this.style = style;
      this.ready = unpacked(digest, parts).then((city) => this._unpacked(city));
      this.ready.catch((error) => { setTimeout(() => { throw error; }); });
    },

    async _unpacked(city) {
      this.city = city;
      this._raster = new Raster(city);
      await this.recolour(this.style);
      performance.mark("geogrid-painted");
      return this;
    },

    // `classes`: base64 of gzipped bytes, or bytes; one for each unit of `level`.
    async recolour(style) {
      this.style = style;
      const given = style.classes;
      this._classes = typeof given === "string" ? await gunzip(bytes(given)) : given;
      this._depth = Math.max(this.city.names.indexOf(style.level), 0);
      this._colours();
      this.loaded = true;
      if (this._legend) this._legend.remove();
      this._legend = null;
      this.redraw();
    },

    onAdd(map) {
      CanvasLayer.prototype.onAdd.call(this, map);
      this._showLegend();
    },

    onRemove(map) {
      CanvasLayer.prototype.onRemove.call(this, map);
      if (this._legend) this._legend.remove();
      this._legend = null;
    },

    _showLegend() {
      if (this._legend || !this.loaded || !this._map || this.style.legend === false) return;
      const counts = new Array(this.style.fills.length).fill(0);
      for (const each of this._classes) if (each !== NONE) counts[each]++;
      this._legend = legend(this.style, counts).addTo(this._map);
    },

    _colours() {
      const { fills, opacity } = this.style, above = this.city.above[this._depth];
      const colours = fills.map((fill) => word(fill, opacity));
      const lut = (this._lut = new Uint32Array(this.city.n + 1));
      const hatched = new Uint8Array(fills.length);
      for (const each of this.style.hatched || []) hatched[each] = 1;
      this._hatched = new Uint8Array(this.city.n + 1);
      for (let u = 0; u < this.city.n; u++) {
        const own = above[u] < 0 ? NONE : this._classes[above[u]];
        if (own === NONE || own >= fills.length) continue;
        lut[u + 1] = colours[own];
        this._hatched[u + 1] = hatched[own];
      }
      this._hatching = word("#8a969e", opacity);
    },

    paint(context, view) {
      const { city } = this, scale = 2 ** (this._zoom - city.zoom) * view.ratio;
      this._raster.draw({
        scale, width: view.width, height: view.height,
        x: view.x - city.origin[0] * scale, y: view.y - city.origin[1] * scale,
      });
      this._fill(context, view);
      context.lineJoin = "round";
      for (let depth = city.levels.length - 1; depth >= 0; depth--) this._stroke(context, view, scale, depth);
      if (this.style.labels !== false) this._label(context, view, scale);
      this._showLegend();
    },

    _fill(context, { width, height, x, y, ratio }) {
      if (!this._image || this._image.width !== width || this._image.height !== height) {
        this._image = context.createImageData(width, height);
      }
      const image = this._image, pixels = new Uint32Array(image.data.buffer);
      const { ids } = this._raster, lut = this._lut, n = width * height;
      for (let i = 0; i < n; i++) pixels[i] = lut[ids[i] + 1];
      if ((this.style.hatched || []).length) {
        const step = Math.round(7 * ratio), line = Math.max(1, Math.round(1.3 * ratio)), hatched = this._hatched;
        const shift = ((Math.round(x) + Math.round(y)) % step + step) % step;
        for (let row = 0, i = 0; row < height; row++) {
          for (let column = 0; column < width; column++, i++) {
            if (hatched[ids[i] + 1] && (row + column + shift) % step < line) pixels[i] = this._hatching;
          }
        }
      }
      context.putImageData(image, 0, 0);
    },

    _lowest(scale, ratio) { // the lowest level whose lines are drawn
      let depth = 0;
      for (let d = 0; d < this.city.levels.length; d++) {
        if ((this.city.size[d] * scale) / ratio >= LINES[d].from && d <= this._depth) depth = d;
      }
      return depth;
    },

    _stroke(context, view, scale, depth) {
      const { city } = this, { xy, arc, arcBox } = city, { x, y } = this._raster.view;
      // The outline of a part of a city is a border like any other.
      const as = depth === 0 && this.style.part ? city.levels.length - 1 : depth;
      const size = (city.size[as] * scale) / view.ratio;
      if (size < LINES[as].from || as > this._depth) return;
      const below = depth < this._lowest(scale, view.ratio); // upper borders grow as one comes nearer
      context.strokeStyle = this.style.line || LINE;
      context.globalAlpha = LINES[as].alpha;
      context.lineWidth = LINES[as].width * view.ratio * (below && depth > 0 && size > 400 ? 1.5 : 1);
      context.beginPath();
      let n = 0;
      for (const k of city.borders[depth]) {
        const w = arcBox[4 * k] * scale - x, e = arcBox[4 * k + 2] * scale - x;
        const t = arcBox[4 * k + 1] * scale - y, b = arcBox[4 * k + 3] * scale - y;
        if (e < 0 || w > view.width || b < 0 || t > view.height || (e - w < TINY && b - t < TINY)) continue;
        const last = 2 * arc[k + 1] - 2;
        let p = 2 * arc[k], px = xy[p] * scale - x, py = xy[p + 1] * scale - y;
        context.moveTo(px, py);
        for (p += 2; p <= last; p += 2) {
          const nx = xy[p] * scale - x, ny = xy[p + 1] * scale - y;
          if (p < last && Math.abs(nx - px) < SKIP && Math.abs(ny - py) < SKIP) continue;
          context.lineTo((px = nx), (py = ny));
        }
        if (++n % STROKES === 0) { context.stroke(); context.beginPath(); }
      }
      context.stroke();
      context.globalAlpha = 1;
    },

    _label(context, view, scale) { // names of one level, as far as they fit
      const { city } = this, { ratio } = view;
      let depth = -1;
      for (let d = 1; d <= this._depth; d++) if ((city.size[d] * scale) / ratio >= LABELS_FROM) depth = d;
      if (depth < 0) return;
      const at = city.anchors(depth), font = depth < 3 ? 13 : 12, taken = [];
      context.font = `${depth < 3 ? 600 : 500} ${font * ratio}px "PingFang SC","Microsoft YaHei","Noto Sans CJK SC","Noto Sans SC",sans-serif`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.lineJoin = "round";
      context.lineWidth = 3 * ratio;
      context.strokeStyle = "rgba(255,255,255,.85)";
      context.fillStyle = "#16222b";
      const { x, y } = this._raster.view;
      for (let u = 0; u < city.levels[depth].n; u++) {
        const px = at[2 * u] * scale - x, py = at[2 * u + 1] * scale - y;
        if (px < 0 || py < 0 || px > view.width || py > view.height) continue;
        const text = short(city.name(depth, u, true)) || city.code(depth, u);
        const half = (text.length * font * ratio) / 2 + 3, tall = font * ratio * 0.7;
        if (depth === city.levels.length - 1) { // a name that is wider than its unit hides the others
          const box = city.unitBox, wide = (box[4 * u + 2] - box[4 * u]) * scale;
          if (wide < half * 1.2 || (box[4 * u + 3] - box[4 * u + 1]) * scale < 2 * tall) continue;
        }
        if (taken.some(([ox, oy, oh]) => Math.abs(ox - px) < oh + half && Math.abs(oy - py) < 2 * tall)) continue;
        taken.push([px, py, half]);
        context.strokeText(text, px, py);
        context.fillText(text, px, py);
      }
    },

    // ---- finding

    find(latlng) {
      if (!this.painted) return null;
      const { x, y } = this._onCanvas(latlng), u = this._raster.at(x, y);
      const unit = u < 0 ? -1 : this.city.above[this._depth][u];
      return unit < 0 ? null : { depth: this._depth, u: unit };
    },

    lines({ depth, u }) {
      const { city } = this;
      return city.outline(depth, u).map((line) => line.map(([x, y]) => city.latlng(this._map, x, y)));
    },

    bounds({ depth, u }) {
      const { city } = this, [w, s, e, m] = city.box(depth, u);
      return L.latLngBounds(city.latlng(this._map, w, s), city.latlng(this._map, e, m));
    },

    code({ depth, u }) { return this.city.code(depth, u); },

    describe({ depth, u }) { // text nodes only: names come from files
      const { city } = this, level = city.levels[depth];
      const found = L.DomUtil.create("div", "geogrid-card");
      const row = (name, text) => { L.DomUtil.create("div", name, found).textContent = text; };
      const name = city.name(depth, u), code = city.code(depth, u), kind = level.kinds[level.kind[u]];
      row("geogrid-kind", (this.style.prefix || "") + (KINDS[level.level] || level.level) + (kind ? ` · ${KIND_NAMES[kind] || kind}` : ""));
      row("geogrid-name", name || code);
      if (name && code) row("geogrid-code", code);
      row("geogrid-fact", level.households[u].toLocaleString("en") + " 户 households");
      const own = this._classes[u];
      if (own !== NONE && this.style.labels_of && this.style.labels_of[own] !== undefined) {
        const line = L.DomUtil.create("div", "geogrid-class", found);
        swatch(line, this.style, own);
        line.append(`${this.style.heading}: ${this.style.labels_of[own]}`);
      }
      const chain = [];
      for (let d = depth, at = u; d > 1 && at >= 0; d--) {
        at = city.levels[d].parents[at];
        if (at >= 0 && d <= 4) chain.unshift(city.name(d - 1, at));
      }
      if (chain.length) row("geogrid-place", chain.join(" / "));
      return found;
    },
  });

  const KIND_NAMES = { urban: "城市社区 urban", rural: "农村 rural", dedicated: "专属 dedicated" };

  // ---- points: incidents, findings

  const PointLayer = CanvasLayer.extend({
    initialize(packed, style) {
      this.style = style;
      this.ready = this._unpacked(packed);
    },

    async _unpacked(packed) {
      const data = (this.data = JSON.parse(new TextDecoder().decode(await gunzip(bytes(packed)))));
      this.world = new Float64Array(data.xy.length); // web mercator pixels of zoom 0
      for (let i = 0; i < data.xy.length; i += 2) {
        const sine = Math.sin((data.xy[i + 1] * Math.PI) / 180);
        this.world[i] = 256 * (data.xy[i] / 360 + 0.5);
        this.world[i + 1] = 256 * (0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI));
      }
      this.loaded = true;
      this.redraw();
      return this;
    },

    paint(context, { width, height, x, y, ratio }) {
      const scale = 2 ** this._zoom * ratio, { world } = this, kinds = this.data.classes;
      const dots = this.style.fills.map((fill) => dot(fill, this.style.radius * ratio, ratio));
      for (let i = 0; i < world.length; i += 2) {
        const px = world[i] * scale - x, py = world[i + 1] * scale - y;
        if (px < 0 || py < 0 || px > width || py > height) continue;
        const image = dots[kinds ? kinds[i / 2] : 0];
        context.drawImage(image, Math.round(px - image.width / 2), Math.round(py - image.height / 2));
      }
    },

    find(latlng) {
      if (!this.painted) return null;
      const at = this._map.project(latlng, 0), reach = (this.style.radius + 4) / 2 ** this._map.getZoom();
      let best = null, least = reach * reach;
      for (let i = 0; i < this.world.length; i += 2) {
        const far = (this.world[i] - at.x) ** 2 + (this.world[i + 1] - at.y) ** 2;
        if (far <= least) { least = far; best = { u: i / 2 }; }
      }
      return best;
    },

    place(u) { return L.latLng(this.data.xy[2 * u + 1], this.data.xy[2 * u]); },
    lines() { return []; },
    code({ u }) { return this.data.codes[u]; },

    describe({ u }) {
      const found = L.DomUtil.create("div", "geogrid-card");
      const row = (name, text) => { if (text) L.DomUtil.create("div", name, found).textContent = text; };
      row("geogrid-kind", this.style.title);
      row("geogrid-name", this.data.names[u]);
      row("geogrid-code", this.data.codes[u]);
      row("geogrid-place", (this.data.notes || [])[u]);
      return found;
    },
  });

  function dot(fill, radius, ratio) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = Math.ceil(2 * radius + 2 * ratio);
    const context = canvas.getContext("2d"), middle = canvas.width / 2;
    context.fillStyle = fill;
    context.strokeStyle = "rgba(255,255,255,.9)";
    context.lineWidth = ratio;
    context.beginPath();
    context.arc(middle, middle, radius, 0, 2 * Math.PI);
    context.fill();
    context.stroke();
    return canvas;
  }

  // ---- hover and click: one listener a map asks the layers, the last added first

  function pointer(map) {
    if (map._geogrid) return map._geogrid;
    const state = (map._geogrid = { layers: new Set(), forget });
    const tooltip = L.tooltip({ direction: "top", offset: [0, -6], opacity: 0.97, className: "geogrid-tip" });
    const mark = L.polyline([], { color: "#e6550d", weight: 2.5, interactive: false });
    const chosen = L.polyline([], { color: "#c2185b", weight: 3.5, interactive: false });
    const popup = L.popup({ maxWidth: 320, autoPan: false });
    let pending = null, hovered = null, selected = null;

    function under(latlng) {
      const layers = [...state.layers].reverse().sort((a, b) => (b._zIndex || 0) - (a._zIndex || 0));
      for (const layer of layers) {
        if (layer.covers && !layer.covers(latlng)) continue;
        const hit = layer.find(latlng);
        if (hit) return { layer, hit };
      }
      return null;
    }

    const same = (a, b) => a && b && a.layer === b.layer && a.hit.u === b.hit.u && a.hit.depth === b.hit.depth;

    function show(latlng) {
      const found = under(latlng);
      map.getContainer().style.cursor = found ? "pointer" : "";
      if (!same(found, hovered)) {
        hovered = found;
        map.fire("geogrid:hover", found ? { layer: found.layer, code: found.layer.code(found.hit) } : { code: "" });
        if (found) {
          tooltip.setContent(found.layer.describe(found.hit));
          mark.setLatLngs(found.layer.lines(found.hit)).addTo(map);
        }
      }
      if (!found) { tooltip.remove(); mark.remove(); return; }
      if (!popup.isOpen()) tooltip.setLatLng(latlng).addTo(map);
    }

    function clear() {
      pending = hovered = null;
      tooltip.remove();
      mark.remove();
    }

    function select(found, latlng) {
      selected = found;
      clear();
      chosen.setLatLngs(found.layer.lines(found.hit)).addTo(map);
      popup.setLatLng(latlng).setContent(found.layer.describe(found.hit)).openOn(map);
      map.fire("geogrid:select", { layer: found.layer, code: found.layer.code(found.hit) });
    }

    function unselect() {
      if (!selected) return;
      selected = null;
      chosen.remove();
      map.fire("geogrid:select", { code: "" });
    }

    function forget(layer) {
      if (hovered && hovered.layer === layer) clear();
      if (selected && selected.layer === layer) popup.remove();
    }

    map.on("mousemove", (event) => {
      if (!pending) requestAnimationFrame(() => { if (pending) show(pending); pending = null; });
      pending = event.latlng;
    });
    map.on("mouseout movestart", clear);
    map.on("click", (event) => {
      const found = under(event.latlng);
      if (found) select(found, event.latlng);
    });
    map.on("popupclose", (event) => { if (event.popup === popup) unselect(); });
    state.select = select;
    state.selected = () => selected && { code: selected.layer.code(selected.hit) };
    state.unselect = () => popup.remove();
    return state;
  }

  // Go to the unit of a code and select it; what a script or a list calls.
  function go(map, layer, code) {
    const hit = layer.city && layer.city.find(code);
    if (!hit) return false;
    const bounds = layer.bounds(hit);
    map.fitBounds(bounds, { animate: false, maxZoom: 17, padding: [40, 40] });
    const at = layer.city.anchors(hit.depth);
    pointer(map).select({ layer, hit }, layer.city.latlng(map, at[2 * hit.u], at[2 * hit.u + 1]));
    return true;
  }

  // ---- title, legend, scale, lists

  function box(position, name, fill) {
    const control = L.control({ position });
    control.onAdd = () => {
      const found = L.DomUtil.create("div", "geogrid-box " + name);
      L.DomEvent.disableClickPropagation(found);
      L.DomEvent.disableScrollPropagation(found);
      fill(found);
      return found;
    };
    return control;
  }

  function swatch(parent, style, index) {
    const found = L.DomUtil.create("i", "", parent), hatched = (style.hatched || []).includes(index);
    found.style.background = hatched
      ? `repeating-linear-gradient(135deg, #8a969e 0 1.5px, ${style.fills[index]} 1.5px 5px)` : style.fills[index];
  }

  function legend(style, counts) {
    return box("bottomright", "geogrid-legend", (found) => {
      L.DomUtil.create("div", "geogrid-heading", found).textContent = style.heading;
      style.labels_of.forEach((text, index) => {
        const line = L.DomUtil.create("div", "geogrid-row", found);
        swatch(line, style, index);
        L.DomUtil.create("span", "", line).textContent = text;
        L.DomUtil.create("b", "", line).textContent = counts[index].toLocaleString("en");
      });
    });
  }

  function furnish(map, content) {
    L.control.scale({ imperial: false, position: "bottomleft" }).addTo(map);
    const title = L.DomUtil.create("div", "geogrid-box geogrid-title", map.getContainer());
    L.DomUtil.create("h1", "", title).textContent = content.title;
    L.DomUtil.create("p", "", title).textContent = content.subtitle;
    if (content.page) document.title = content.title;
  }

  // A list of findings; choosing one goes there.
  async function list(map, layer) {
    await layer.ready;
    const { data, style } = layer;
    box("topleft", "geogrid-list", (found) => {
      const head = L.DomUtil.create("button", "geogrid-heading", found), body = L.DomUtil.create("div", "geogrid-rows", found);
      head.textContent = style.title;
      head.setAttribute("aria-expanded", "true");
      head.onclick = () => { body.hidden = !body.hidden; head.setAttribute("aria-expanded", String(!body.hidden)); };
      style.labels_of.forEach((text, index) => {
        const n = data.classes.filter((each) => each === index).length;
        const line = L.DomUtil.create("div", "geogrid-row", body);
        swatch(line, style, index);
        L.DomUtil.create("span", "", line).textContent = text;
        L.DomUtil.create("b", "", line).textContent = n.toLocaleString("en");
      });
      data.names.slice(0, style.most).forEach((name, u) => {
        const item = L.DomUtil.create("button", "geogrid-item", body);
        swatch(item, style, data.classes[u]);
        L.DomUtil.create("span", "", item).textContent = name;
        item.title = (data.notes || [])[u] || name;
        item.onclick = () => {
          const at = data.boxes && data.boxes[u];
          if (at) map.fitBounds([[at[1], at[0]], [at[3], at[2]]], { animate: false, maxZoom: 17, padding: [60, 60] });
          else map.setView(layer.place(u), Math.max(map.getZoom(), 16), { animate: false });
          pointer(map).select({ layer, hit: { u } }, layer.place(u));
        };
      });
      const rest = data.names.length - style.most;
      if (rest > 0) L.DomUtil.create("p", "geogrid-more", body).textContent = `… ${rest.toLocaleString("en")} 项未列出 more not listed`;
      if (!data.names.length) L.DomUtil.create("p", "geogrid-more", body).textContent = style.empty;
    }).addTo(map);
  }

  // ---- before and after: what lies left of the slider is shown of one layer only

  function swipe(map, before, names) {
    const shell = L.DomUtil.create("div", "geogrid-swipe", map.getContainer());
    const line = L.DomUtil.create("div", "geogrid-swipe-line", shell);
    names.forEach((name, side) => {
      L.DomUtil.create("div", "geogrid-swipe-name geogrid-side-" + side, line).textContent = name;
    });
    const input = L.DomUtil.create("input", "geogrid-swipe-range", shell);
    Object.assign(input, { type: "range", min: 0, max: 1000, value: 500 });
    input.setAttribute("aria-label", "旧版与新版的分界 Divide between old and new");
    L.DomEvent.disableClickPropagation(shell);
    const place = () => (input.value / 1000) * map.getSize().x;
    function clip() {
      const x = place();
      line.style.left = x + "px";
      if (!before._canvas || !before._topLeft) return;
      const from = map.containerPointToLayerPoint([x, 0]).x - before._topLeft.x;
      before._canvas.style.clipPath = `inset(0 ${before._canvas.clientWidth - from}px 0 0)`;
    }
    before.covers = (latlng) => map.latLngToContainerPoint(latlng).x < place();
    input.addEventListener("input", clip);
    map.on("move zoomend resize geogrid:painted layeradd", clip);
    map.whenReady(clip);
  }

  // Lines in degrees: [[lon, lat, lon, lat …] …].
  function lines(packed, style) {
    const latlngs = packed.map((line) => {
      const found = [];
      for (let i = 0; i < line.length; i += 2) found.push([line[i + 1], line[i]]);
      return found;
    });
    return L.polyline(latlngs, { renderer: L.canvas({ padding: 0.3 }), interactive: false, smoothFactor: 0.5, ...style });
  }

  // ---- the map as a widget of a notebook: what Python sets is shown, what is done here is told

  function live(model, shell) {
    const raw = (name) => { const v = model.get(name); return new Uint8Array(v.buffer, v.byteOffset, v.byteLength); };
    const map = L.map(shell, { zoomSnap: 0.5, minZoom: 6, maxZoom: 19, attributionControl: false });
    const corners = ([west, south, east, north]) => [[south, west], [north, east]];
    map.fitBounds(corners(model.get("bounds")), { animate: false });
    L.control.scale({ imperial: false }).addTo(map);
    const style = { ...model.get("style"), classes: raw("classes") };
    const layer = new GridLayer(model.get("digest"), style, [raw("payload")]).addTo(map);
    const tell = (name, value) => {
      if (JSON.stringify(model.get(name)) === JSON.stringify(value)) return;
      model.set(name, value);
      model.save_changes();
    };
    const view = () => {
      const b = map.getBounds();
      return [b.getWest(), b.getSouth(), b.getEast(), b.getNorth()];
    };
    let coming = null; // several changes of one turn are one recolouring
    const recolour = () => {
      if (!coming) coming = layer.ready.then(() => {
        coming = null;
        return layer.recolour({ ...model.get("style"), classes: raw("classes") });
      });
    };
    model.on("change:classes change:style", recolour);
    const found = (code) => code === ((pointer(map).selected() || {}).code || "");
    const choose = () => {
      const code = model.get("selected");
      if (found(code)) return;
      if (code) layer.ready.then(() => go(map, layer, code)); else pointer(map).unselect();
    };
    model.on("change:selected", choose);
    model.on("change:bounds", () => {
      const wanted = model.get("bounds");
      if (wanted.length === 4 && JSON.stringify(wanted) !== JSON.stringify(view())) map.fitBounds(corners(wanted), { animate: false });
    });
    map.on("geogrid:select", (event) => tell("selected", event.code));
    map.on("geogrid:hover", (event) => tell("hover", event.code));
    map.on("moveend", () => tell("bounds", view()));
    const watch = new ResizeObserver(() => map.invalidateSize({ animate: false }));
    watch.observe(shell);
    if (model.get("selected")) choose();
    return () => { watch.disconnect(); map.remove(); };
  }

  // ---- markers without image files, in the form that folium asks for

  const PINS = {
    red: "#d33d2a", darkred: "#a13336", lightred: "#ff8e7f", orange: "#f69730", beige: "#ffcb92",
    green: "#72b026", darkgreen: "#728224", lightgreen: "#bbf970", blue: "#38aadd", darkblue: "#00649f",
    lightblue: "#8adaff", purple: "#d252b9", darkpurple: "#5b396b", pink: "#ff91ea", cadetblue: "#436978",
    white: "#fbfbfb", gray: "#575757", lightgray: "#a3a3a3", black: "#303030",
  };

  function pin(options) {
    const fill = PINS[(options || {}).markerColor] || PINS.blue;
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="26" height="38" viewBox="0 0 26 38"><path d="M13 37C9 27 1 21 1 13a12 12 0 0 1 24 0c0 8-8 14-12 24z" fill="${fill}" stroke="#fff" stroke-width="1.4"/><circle cx="13" cy="13" r="4.6" fill="#fff"/></svg>`;
    return L.icon({
      iconUrl: "data:image/svg+xml," + encodeURIComponent(svg),
      iconSize: [26, 38], iconAnchor: [13, 37], popupAnchor: [0, -34], tooltipAnchor: [14, -24],
    });
  }

  function offline() {
    L.Marker.prototype.options.icon = pin();
    L.AwesomeMarkers = { icon: pin };
  }

  L.geogrid = {
    layer: (digest, style) => new GridLayer(digest, style),
    points: (packed, style) => new PointLayer(packed, style),
    furnish, go, lines, list, live, offline, pointer, swipe, unpack,
  };
})(window.L);
