"use strict";
// One page of findings: a list, a map on a canvas, filters, two languages. Nothing is loaded.
const content = JSON.parse(document.getElementById("content").textContent);
const one = (id) => document.getElementById(id);
const colours = { error: "#c62828", warning: "#b26a00", note: "#546e7a" };
const PAGE = 200;
let language = (navigator.language || "zh").startsWith("zh") ? "zh" : "en";
let shown = [];
let listed = PAGE;
let chosen = null;
let view = null; // centre (degrees) and pixels a degree of latitude

const say = (zh, en) => (language === "zh" ? zh : en);
const remedy = (each) => content.rules[each.rule][language === "zh" ? 3 : 2];
const number = (value) => value.toLocaleString(language === "zh" ? "zh-CN" : "en-GB");

function percent(rate) {
  return rate === 1 ? "100 %" : (Math.floor(rate * 1e9) / 1e7).toFixed(7) + " %";
}

function translate() {
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-zh]")) node.textContent = node.dataset[language];
  one("language").textContent = say("English", "中文");
  one("canvas").setAttribute("aria-label", say("地图：方向键移动，加减号缩放", "Map: arrows move, plus and minus zoom"));
  const errors = content.findings.filter((each) => each.severity === "error").length;
  one("verdict").textContent = errors
    ? say(`${number(errors)} 处错误`, `${number(errors)} errors`) : say("没有错误", "no errors");
  one("verdict").style.color = errors ? colours.error : "#2e7d32";
  const heads = language === "zh" ? ["层级", "数量", "覆盖率", "缝隙", "重叠", "碎斑"]
    : ["level", "units", "coverage", "gaps", "overlaps", "slivers"];
  const rows = content.rates.map(([level, zh, units, rate, ...faults]) => [
    say(zh, level), number(units), percent(rate),
    ...faults.map(([n, area]) => (n ? `${number(n)} (${number(Math.round(area * 10) / 10)} m²)` : "0")),
  ]);
  one("rates").replaceChildren(line("th", heads), ...rows.map((cells) => line("td", cells)));
  options(one("level"), content.rates.map(([level, zh]) => [level, say(zh, level)]));
  const rules = [...new Set(content.findings.map((each) => each.rule))];
  options(one("rule"), rules.map((rule) => [rule, content.rules[rule][language === "zh" ? 1 : 0]]));
  filter();
}

function line(kind, cells) {
  const row = document.createElement("tr");
  for (const text of cells) row.appendChild(document.createElement(kind)).textContent = text;
  return row;
}

function options(select, pairs) {
  const before = select.value;
  select.replaceChildren(new Option(say("全部", "all"), ""), ...pairs.map(([value, text]) => new Option(text, value)));
  select.value = before;
}

function filter() {
  const severities = new Set([...one("filter").querySelectorAll("input:checked")].map((box) => box.value));
  const level = one("level").value;
  const rule = one("rule").value;
  const wanted = one("search").value.trim();
  shown = content.findings.filter((each) => severities.has(each.severity)
    && (!level || each.level === level) && (!rule || each.rule === rule)
    && (!wanted || each.near.includes(wanted) || each.codes.some((code) => code.includes(wanted))));
  listed = PAGE;
  list();
  draw();
}

function list() {
  one("number").textContent = say(`共 ${number(shown.length)} 条`, `${number(shown.length)} findings`);
  one("list").replaceChildren(...shown.slice(0, listed).map(item));
  one("more").hidden = shown.length <= listed;
}

function item(each) {
  const node = document.createElement("li");
  node.className = each.severity + (each.excused ? " excused" : "");
  node.tabIndex = 0;
  node.setAttribute("aria-current", each === chosen);
  node.textContent = say(each.zh, each.en);
  const more = document.createElement("small");
  more.textContent = [each.near, each.excused, remedy(each)].filter(Boolean).join(" · ");
  node.append(more);
  node.addEventListener("click", () => choose(each));
  node.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(each); });
  return node;
}

function choose(each) {
  chosen = each;
  if (each.point) {
    const box = each.bbox || [...each.point, ...each.point];
    const across = Math.max((box[2] - box[0]) * cosine(each.point[1]), box[3] - box[1], each.rings ? 2e-6 : 0.01);
    const room = Math.min(one("map").clientWidth, one("map").clientHeight);
    view = { centre: [...each.point], scale: room / (across * 3) };
  }
  list();
  draw();
  one("detail").textContent = say(each.zh, each.en) + " " + remedy(each);
}

const cosine = (lat) => Math.cos((lat * Math.PI) / 180);

function place([lon, lat]) {
  const width = one("map").clientWidth;
  const height = one("map").clientHeight;
  return [width / 2 + (lon - view.centre[0]) * view.scale * cosine(view.centre[1]),
    height / 2 - (lat - view.centre[1]) * view.scale];
}

function everything() {
  const all = [];
  for (const outline of content.outlines) {
    for (const ring of outline.rings) for (let k = 0; k < ring.length; k += 2) all.push([ring[k], ring[k + 1]]);
  }
  for (const each of content.findings) if (each.point) all.push(each.point);
  if (!all.length) return { centre: [114, 33], scale: 1000 };
  let [west, south, east, north] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [lon, lat] of all) {
    west = Math.min(west, lon); east = Math.max(east, lon);
    south = Math.min(south, lat); north = Math.max(north, lat);
  }
  const centre = [(west + east) / 2, (south + north) / 2];
  const wide = Math.max((east - west) * cosine(centre[1]), 1e-5);
  const high = Math.max(north - south, 1e-5);
  const scale = 0.92 * Math.min(one("map").clientWidth / wide, one("map").clientHeight / high);
  return { centre, scale };
}

function trace(pen, rings) {
  pen.beginPath();
  for (const ring of rings) {
    for (let k = 0; k < ring.length; k += 2) {
      const [x, y] = place([ring[k], ring[k + 1]]);
      if (k) pen.lineTo(x, y); else pen.moveTo(x, y);
    }
  }
}

function draw() {
  const canvas = one("canvas");
  const [width, height] = [one("map").clientWidth, one("map").clientHeight];
  const dense = window.devicePixelRatio || 1;
  canvas.width = width * dense;
  canvas.height = height * dense;
  const pen = canvas.getContext("2d");
  pen.scale(dense, dense);
  if (!view) view = everything();
  pen.lineWidth = 1;
  for (const outline of content.outlines) {
    trace(pen, outline.rings);
    pen.fillStyle = "#fff";
    pen.fill("evenodd");
    pen.strokeStyle = "#90a4ae";
    pen.stroke();
  }
  for (const each of [...shown].reverse()) mark(pen, each, width, height);
  if (chosen && shown.includes(chosen)) mark(pen, chosen, width, height);
}

function mark(pen, each, width, height) {
  if (!each.point) return;
  const [x, y] = place(each.point);
  if (x < -width || y < -height || x > 2 * width || y > 2 * height) return;
  pen.fillStyle = pen.strokeStyle = colours[each.severity];
  pen.globalAlpha = each.excused ? 0.45 : 1;
  if (each.rings && view.scale * (each.bbox[3] - each.bbox[1] + each.bbox[2] - each.bbox[0]) > 12) {
    trace(pen, each.rings);
    pen.globalAlpha *= 0.35;
    pen.fill("evenodd");
    pen.globalAlpha = 1;
    pen.lineWidth = each === chosen ? 2.5 : 1.2;
    pen.stroke();
  } else {
    pen.beginPath();
    pen.arc(x, y, each === chosen ? 8 : 4.5, 0, 7);
    pen.fill();
    pen.lineWidth = 1;
    pen.strokeStyle = "#fff";
    pen.stroke();
  }
  pen.globalAlpha = 1;
}

function zoom(factor, x = one("map").clientWidth / 2, y = one("map").clientHeight / 2) {
  const dx = (x - one("map").clientWidth / 2) / view.scale / cosine(view.centre[1]);
  const dy = -(y - one("map").clientHeight / 2) / view.scale;
  view.centre = [view.centre[0] + dx * (1 - 1 / factor), view.centre[1] + dy * (1 - 1 / factor)];
  view.scale = Math.min(Math.max(view.scale * factor, 50), 5e9);
  draw();
}

function pan(dx, dy) {
  view.centre = [view.centre[0] - dx / view.scale / cosine(view.centre[1]), view.centre[1] + dy / view.scale];
  draw();
}

const fingers = new Map();
let travelled = 0;
one("canvas").addEventListener("pointerdown", (event) => {
  one("canvas").setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
  travelled = 0;
});
one("canvas").addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  const now = [event.offsetX, event.offsetY];
  travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
  if (fingers.size === 2) {
    const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
    const apart = (a) => Math.max(Math.hypot(a[0] - other[0], a[1] - other[1]), 1);
    zoom(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  } else pan(now[0] - before[0], now[1] - before[1]);
  fingers.set(event.pointerId, now);
});
for (const name of ["pointerup", "pointercancel"]) {
  one("canvas").addEventListener(name, (event) => {
    fingers.delete(event.pointerId);
    if (name === "pointerup" && travelled < 5) pick(event.offsetX, event.offsetY);
  });
}

function pick(x, y) {
  let best = null;
  let nearest = 14;
  for (const each of shown) {
    if (!each.point) continue;
    const [a, b] = place(each.point);
    const apart = Math.hypot(a - x, b - y);
    if (apart < nearest) [best, nearest] = [each, apart];
  }
  if (!best) return;
  chosen = best;
  const row = shown.indexOf(best);
  if (row >= listed) listed = Math.ceil((row + 1) / PAGE) * PAGE;
  list();
  draw();
  one("list").children[row].scrollIntoView({ block: "nearest" });
  one("detail").textContent = say(best.zh, best.en) + " " + remedy(best);
}

one("canvas").addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(event.deltaY < 0 ? 1.4 : 1 / 1.4, event.offsetX, event.offsetY);
}, { passive: false });
one("canvas").addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: [80, 0], ArrowRight: [-80, 0], ArrowUp: [0, 80], ArrowDown: [0, -80] };
  if (steps[event.key]) pan(...steps[event.key]);
  else if (event.key === "+" || event.key === "=") zoom(1.6);
  else if (event.key === "-") zoom(1 / 1.6);
  else return;
  event.preventDefault();
});
one("in").addEventListener("click", () => zoom(1.8));
one("out").addEventListener("click", () => zoom(1 / 1.8));
one("all").addEventListener("click", () => { view = everything(); draw(); });
one("more").addEventListener("click", () => { listed += PAGE; list(); });
one("language").addEventListener("click", () => { language = say("en", "zh"); translate(); });
one("filter").addEventListener("input", filter);
one("filter").addEventListener("submit", (event) => event.preventDefault());
window.addEventListener("resize", draw);
translate();
