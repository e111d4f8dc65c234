// Incidents by unit in the four colours of warning. "No data" and "no warning" are two states.

import { LEVELS, minZoom, view, WARNINGS } from "./cartography.js";
import { button, byId, choice, element, refill, select } from "./dom.js";
import { flyTo, warn, zoom } from "./map.js";
import { ask } from "./service.js";
import { announce, fail } from "./toasts.js";
import { current, dashed, number, say } from "./words.js";

const LISTED = 30;
const SPANS = [7, 30, 90];
const DAY = 86_400_000;

const question = { level: "", from: "", to: "", measure: "count", method: "quantile", values: "", least: 1, category: "" };
const state = { summary: null, answer: null, failed: null, asked: 0 };

export function warnings() {
  return view.theme === "warnings" ? state.answer : null;
}

export async function beginIncidents(context) {
  state.answer = null;
  state.summary = context.about.incidents ? await ask("v1/incidents") : null;
  question.level ||= zoom() >= minZoom(context.tiles, "village") ? "village" : "township";
}

// Colour the map by warnings, or by households again.
export async function switchWarnings(on, context) {
  if (on) return count(context);
  view.theme = "households";
  context.changed();
}

export async function count(context) {
  const mine = ++state.asked;
  document.body.dataset.counting = "yes"; // what is shown is of the question before
  try {
    const scale = question.method === "absolute" ? question.values : question.method;
    const { level, from, to, measure, least, category } = question;
    const answer = await ask("v1/incidents/stats", { level, from, to, measure, warn: scale, least, category });
    if (mine !== state.asked) return;
    Object.assign(state, { answer, failed: null });
    Object.assign(view, { theme: "warnings", warned: { level, others: answer.others, measure } });
    await warn(level, answer.units);
    announce(say("total", { n: number(answer.incidents) }));
  } catch (error) {
    if (mine !== state.asked) return;
    if (!error.status) throw error;
    Object.assign(state, { failed: error, answer: null });
    view.theme = "households";
  } finally {
    if (mine === state.asked) delete document.body.dataset.counting;
  }
  context.changed();
}

export function nearer(context) {
  const [west, south, east, north] = context.tiles.bounds;
  const x = (west + east) / 2, y = (south + north) / 2, half = 180 / 2 ** minZoom(context.tiles, question.level);
  flyTo([x - half, y - half / 2, x + half, y + half / 2]);
}

export function showIncidents(context) {
  const box = byId("incidents");
  if (!state.summary) {
    box.replaceChildren(element("p", context.about.incidents ? say("checking") : say("incidentsHint"), "hint"));
    return;
  }
  const shown = choice({ type: "checkbox", name: "warned", text: say("showIncidents"), checked: view.theme === "warnings" },
    (on) => switchWarnings(on, context).catch(fail));
  shown.querySelector("input").id = "warned-on";
  refill(box, shown, form(context), ...result(context));
}

function form(context) {
  const ask = (name) => (value) => {
    question[name] = value;
    count(context).catch(fail);
  };
  const made = element("div", "", "form");
  const add = (text, control, hint = "") => {
    const label = element("label", "", "", element("span", text), control);
    if (hint) label.append(element("small", hint));
    made.append(label);
  };
  add(say("level"), select(LEVELS.map((level) => [level, say(level)]), question.level, ask("level"), say("level")));
  made.append(dates(ask, context));
  add(say("measure"), select([["count", say("count")], ["rate", say("rateMeasure")]], question.measure, ask("measure"), say("measure")));
  const methods = ["quantile", "natural", "absolute"].map((name) => [name, say(name)]);
  add(say("method"), select(methods, question.method, (value) => {
    if (value === "absolute") question.values ||= given();
    ask("method")(value);
  }, say("method")));
  if (question.method === "absolute") add(say("warnings"), input("text", "values", question.values, ask("values"), "5,10,20,40"));
  add(say("least"), input("number", "least", question.least, (value) => ask("least")(Math.max(1, Number(value) || 1))), say("leastHint"));
  if (state.summary.categories.length) {
    const all = state.summary.categories.map(({ code, name, incidents: n }) => [code, `${name} (${number(n)})`]);
    add(say("category"), select([["", say("allCategories")], ...all], question.category, ask("category"), say("category")));
  }
  return made;
}

function dates(ask, context) {
  const { first_day: first, last_day: last } = state.summary;
  if (!first) return element("span");
  const chips = element("div", "", "chips");
  const set = (from, to) => {
    question.from = from;
    ask("to")(to);
  };
  const whole = Math.round((Date.parse(last) - Date.parse(first)) / DAY) + 1;
  const spans = [[say("wholeSpan"), "", ""], ...SPANS.filter((n) => n < whole).map((n) => [say("days", { n }), dayBefore(last, n - 1), last])];
  for (const [text, from, to] of spans) {
    const chip = button(text, () => set(from, to));
    chip.setAttribute("aria-pressed", String(question.from === from && question.to === to));
    chips.append(chip);
  }
  const typed = (name) => (day) => { if (day > "1000") ask(name)(day); }; // years come digit by digit
  const from = input("date", "from", question.from || first, typed("from"));
  const to = input("date", "to", question.to || last, typed("to"));
  from.setAttribute("aria-label", say("first"));
  to.setAttribute("aria-label", say("last"));
  return element("fieldset", "", "", element("legend", say("dates")), chips, element("div", "", "row", from, element("span", "–"), to));
}

function result(context) {
  if (state.failed) return [element("p", state.failed.text, "advice")];
  const { answer } = state;
  if (!answer || view.theme !== "warnings") return [];
  const made = [element("p", `${say("total", { n: number(answer.incidents) })} · ${say("unplaced", { n: number(answer.unplaced) })}`, "sum")];
  const why = answer[`no_thresholds_${current()}`];
  if (zoom() < minZoom(context.tiles, answer.level)) {
    made.push(element("p", say("zoomIn", { level: say(answer.level) }), "advice"), button(say("zoomTo"), () => nearer(context), "wide"));
  }
  if (why) made.push(element("p", why, "advice"));
  const order = Object.keys(WARNINGS);
  const hot = answer.units.filter((unit) => order.indexOf(unit.warning) >= 0 && order.indexOf(unit.warning) < 4);
  hot.sort((a, b) => order.indexOf(a.warning) - order.indexOf(b.warning));
  if (!why) made.push(element("h2", `${say("hot")} · ${number(hot.length)}`));
  if (!why && !hot.length) made.push(element("p", say("noneWarned"), "hint"));
  const list = element("ol", "", "findings");
  list.append(...hot.slice(0, LISTED).map((unit) => row(unit, context)));
  return [...made, list];
}

function row(unit, context) {
  const press = button("", () => context.pick(unit.code));
  const dot = element("i");
  dot.style.background = WARNINGS[unit.warning];
  const n = unit.incidents === null ? say("fewer", { n: question.least }) : number(unit.incidents);
  const rate = unit.rate === null ? "" : `${number(unit.rate, 2)} ${say("perThousand")}`;
  press.append(dot, element("b", unit.name), element("span", n, "n"), element("span", dashed(unit.code), "code"), element("span", rate, "note"));
  return element("li", "", "", press);
}

function input(type, name, value, change, hint = "") {
  const made = element("input");
  Object.assign(made, { type, name, value, placeholder: hint });
  if (type === "number") made.min = 1;
  made.addEventListener("change", () => change(made.value));
  return made;
}

// The thresholds that are shown are a fair start for one's own.
function given() {
  const values = state.answer?.thresholds && Object.values(state.answer.thresholds.values);
  return (values || [5, 10, 20, 40]).map((value) => Number(value.toFixed(2))).join(",");
}

function dayBefore(day, n) {
  return new Date(Date.parse(day) - n * DAY).toISOString().slice(0, 10);
}
