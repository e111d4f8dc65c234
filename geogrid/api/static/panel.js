// The card of a unit: what it is, what it lies in, what lies beside and below it.

import { button, byId, element, facts, walkable } from "./dom.js";
import { ask } from "./service.js";
import { announce, fail, toast } from "./toasts.js";
import { area, dashed, metres, number, say } from "./words.js";

const BARS = { width: 300, height: 46 };
let filled = 0;

// `found` holds `unit` (a feature) or nothing, and `place` (an answer of locate) with `position`.
export function showPlace(found, { pick, hasIncidents }) {
  const box = byId("place");
  byId("panel").hidden = false;
  byId("panel").scrollTop = 0;
  const mine = ++filled;
  if (!found.unit) {
    box.replaceChildren(element("h2", say("outside")), facts(placeFacts(found)));
    announce(say("outside"));
    return;
  }
  const { properties } = found.unit;
  const beside = element("div"), reports = element("div");
  box.replaceChildren(
    ...head(properties), facts(own(properties)),
    ...(found.place ? [facts(placeFacts(found))] : []),
    ...chain(found, pick), reports, beside, ...below(properties, pick),
  );
  announce(`${say(properties.level)} ${properties.name} ${dashed(properties.code)}`);
  const still = (work) => (answer) => mine === filled && work(answer);
  ask(`v1/units/${properties.code}/neighbours`).then(still((answer) => neighbours(beside, answer, pick))).catch(fail);
  if (hasIncidents) {
    ask("v1/incidents/stats", { level: properties.level, code: properties.code, by: "week" })
      .then(still((answer) => bars(reports, answer.parts))).catch(console.warn);
  }
}

function head({ level, name, code, kind }) {
  const copy = element("p", "", "copy", button(say("copy"), () => copied(code)));
  if (code.length > 12) copy.append(button(say("copyDashed"), () => copied(dashed(code))));
  const kinds = ["urban", "rural", "dedicated"].includes(kind) && (level === "grid" || level === "microgrid");
  const lead = element("p", say(level), "kind");
  if (kinds) lead.append(element("span", say(kind), "tag"));
  return [lead, element("h2", name || code), element("p", dashed(code), "code"), copy];
}

function own({ households, area_m2: size, n_children: children }) {
  const rows = [[say("households"), number(households)], [say("area"), area(size)]];
  if (children) rows.push([say("children"), number(children)]);
  return rows;
}

function placeFacts({ place, position }) {
  const rows = [[say("position"), `${position[0].toFixed(6)}, ${position[1].toFixed(6)}`]];
  if (place.on_edge) rows.push([say("edge"), say("onEdge")]);
  else if (place.edge_m !== null) rows.push([say("edge"), metres(place.edge_m)]);
  if (place.neighbour_code) rows.push([say("neighbour"), dashed(place.neighbour_code)]);
  return rows;
}

// Of a position all levels; of a unit those above it and itself.
function chain({ unit, place }, pick) {
  const links = place ? place.chain : unit.properties.chain;
  const list = element("ol", "", "chain");
  for (const link of links) {
    const row = rowOf(link, pick);
    if (link.code === unit.properties.code) row.firstChild.setAttribute("aria-current", "true");
    list.append(row);
  }
  walkable(list);
  return [list];
}

function rowOf(link, pick, note = "") {
  const press = button("", () => pick(link.code));
  press.append(element("span", say(link.level), "kind"), element("b", link.name || link.code), element("span", dashed(link.code), "code"));
  if (note) press.append(element("span", note, "note"));
  return element("li", "", "", press);
}

function neighbours(box, answer, pick) {
  if (!answer.neighbours.length) return;
  const list = element("ol", "", "chain");
  list.append(...answer.neighbours.map((each) => rowOf(each, pick, metres(each.border_m))));
  walkable(list);
  const title = element("summary", `${say("neighbours")} · ${answer.neighbours.length}`);
  title.append(element("small", say("shared")));
  const made = element("details", "", "", title, list);
  if (answer.outer_m > 0.5) made.append(element("p", say("outer", { m: metres(answer.outer_m) }), "hint"));
  made.open = answer.neighbours.length <= 8;
  box.replaceChildren(made);
}

// Fetched when they are wanted: a city has thousands.
function below({ code, n_children: n }, pick) {
  if (!n) return [];
  const made = element("details", "", "", element("summary", `${say("children")} · ${number(n)}`));
  made.addEventListener("toggle", async () => {
    if (!made.open || made.querySelector("ol")) return;
    const list = element("ol", "", "chain");
    made.append(list);
    walkable(list);
    try {
      const found = await ask(`v1/units/${code}/children`);
      list.append(...found.map((each) => rowOf(each, pick, number(each.households))));
    } catch (error) {
      fail(error);
    }
  });
  return [made];
}

function bars(box, parts) {
  if (!parts || !parts.length) return;
  const most = Math.max(...parts.map((part) => part.incidents ?? 0), 1);
  const step = BARS.width / parts.length;
  const total = parts.reduce((sum, part) => sum + (part.incidents ?? 0), 0);
  const picture = svg("svg", { viewBox: `0 0 ${BARS.width} ${BARS.height}`, role: "img", class: "bars" });
  picture.setAttribute("aria-label", `${say("perWeek")}: ${total}`);
  parts.forEach((part, k) => {
    const height = ((part.incidents ?? 0) / most) * (BARS.height - 4);
    const bar = svg("rect", { x: k * step + 1, y: BARS.height - height, width: Math.max(1, Math.min(22, step - 2)), height });
    bar.append(svg("title", {}, `${part.name}: ${part.incidents}`));
    picture.append(bar);
  });
  const ends = element("p", "", "ends", element("span", parts[0].name), element("span", parts.at(-1).name));
  box.replaceChildren(element("p", `${say("perWeek")} · ${number(total)}`, "lead"), picture, ends);
}

function svg(name, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

async function copied(code) {
  try {
    await navigator.clipboard.writeText(code);
    toast("copied", say("copied", { code }), { calm: true });
  } catch (error) {
    toast("copied", say("copyFailed"));
  }
}
