// Coverage findings: the rate of every level, and a list that leads to each place.

import { SEVERITIES, view } from "./cartography.js";
import { button, byId, choice, element, facts, refill, walkable } from "./dom.js";
import { draw, flyTo, mark } from "./map.js";
import { ask } from "./service.js";
import { announce } from "./toasts.js";
import { area, current, dashed, metres, number, percent, say } from "./words.js";

const PAGE = 200; // rows at once
const CODES = 3; // of a finding, in the list
const DRAWN = 5000; // places on the map
const AROUND = 0.0006; // degrees: what is shown around a place without an extent
const PAUSE = 1500; // milliseconds between two questions while the check runs
const KINDS = ["error", "warning", "note"];

const state = { coverage: null, failed: null, severity: "", rows: [], matched: 0, marked: -1, asked: 0 };

// Ask until the check has ended; the page does not wait for it.
export async function beginCheck(changed) {
  const mine = ++state.asked;
  Object.assign(state, { coverage: null, failed: null, rows: [], matched: 0, marked: -1 });
  changed();
  try {
    let coverage = await ask("v1/coverage", { wait: 1 });
    while (coverage.state !== "done") {
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
      coverage = await ask("v1/coverage", { wait: 1 });
    }
    if (mine !== state.asked) return;
    state.coverage = coverage;
    if (coverage.n_findings) await drawAll();
    else await Promise.all([draw("faults", []), draw("shapes", [])]);
    await list();
  } catch (error) {
    state.failed = error;
  }
  if (mine === state.asked) changed();
}

export function showCheck() {
  const box = byId("check"), badge = byId("n-findings");
  const { coverage, failed } = state;
  badge.hidden = !coverage || !coverage.n_findings;
  if (failed) return box.replaceChildren(element("p", say("checkFailed") + (failed.text || failed.message), "advice"));
  if (!coverage) return box.replaceChildren(element("p", say("checking"), "wait"));
  badge.textContent = number(coverage.n_findings);
  badge.className = coverage.ok ? "warning" : "error";
  const least = Math.min(...Object.values(coverage.coverage_rate));
  const rate = element("p", "", coverage.ok ? "rate ok" : "rate bad", element("b", percent(least)), element("span", say("rate")));
  refill(box, rate, ...(coverage.n_findings ? found(coverage) : clear()), rates(coverage));
}

// A finding that was clicked on the map.
export function openFinding(id) {
  const row = byId("check").querySelector(`[data-number="${id}"]`);
  if (row) row.scrollIntoView({ block: "center" });
  select(id, false);
}

function clear() {
  return [element("p", say("allClear"), "good"), element("p", say("allClearText"), "hint")];
}

function rates({ coverage_rate: all, counts }) {
  const rows = Object.entries(all).map(([level, rate]) => [`${say(level)} · ${number(counts[level])}`, percent(rate)]);
  const made = element("details", "", "", element("summary", say("rateOf")), facts(rows));
  made.open = true;
  return made;
}

function found(coverage) {
  const filters = element("div", "", "chips");
  for (const severity of ["", ...KINDS]) {
    const n = severity ? coverage.severities[severity] : coverage.n_findings;
    if (!n) continue;
    const chip = button(`${say(severity || "all")} ${number(n)}`, async () => {
      state.severity = severity;
      await list();
      showCheck();
    }, severity);
    chip.setAttribute("aria-pressed", String(state.severity === severity));
    filters.append(chip);
  }
  const shown = choice({ type: "checkbox", name: "faults", text: say("showFindings"), checked: view.faults }, (on) => {
    view.faults = on;
    byId("check").dispatchEvent(new Event("repaint"));
  });
  const rows = element("ol", "", "findings");
  rows.append(...state.rows.map(row));
  walkable(rows);
  const rest = state.matched - state.rows.length;
  const more = rest > 0 ? [button(say("more", { n: number(Math.min(rest, PAGE)) }), async () => {
    await list(state.rows.length);
    showCheck();
  }, "wide")] : [];
  return [filters, shown, state.rows.length ? rows : element("p", say("noneMatch"), "hint"), ...more];
}

function row(each) {
  const rule = state.coverage.findings.find((known) => known.rule === each.rule)[`name_${current()}`];
  const press = button("", () => select(each.number));
  press.dataset.number = each.number;
  press.className = state.marked === each.number ? "on" : "";
  const codes = element("span", "", "code");
  each.codes.slice(0, CODES).forEach((code, k) => codes.append(k ? say("comma") : "", element("span", dashed(code), "whole")));
  if (each.codes.length > CODES) codes.append(" …");
  const size = each.area_m2 ? `${area(each.area_m2)} · ${say("wide", { m: metres(each.width_m) })}` : "";
  const dot = element("i");
  dot.style.background = SEVERITIES[each.severity];
  press.append(dot, element("b", rule), element("span", say(each.level), "kind"), codes);
  const notes = [each.near, size, each.point ? "" : say("noPlace"), each.excused && `${say("excused")}: ${each.excused}`];
  press.append(element("span", notes.filter(Boolean).join(" · "), "note"));
  const item = element("li", "", "", press);
  if (state.marked === each.number) item.append(element("p", `${each[`fix_${current()}`]}`, "fix"));
  return item;
}

function select(id, move = true) {
  const each = state.rows.find((row) => row.number === id);
  state.marked = id;
  mark(id);
  const above = byId("panels").scrollTop;
  showCheck();
  byId("panels").scrollTop = above;
  byId("check").querySelector(`[data-number="${id}"]`)?.focus({ preventScroll: move });
  if (!each) return;
  announce(each[`message_${current()}`]);
  const [lon, lat] = each.point || [];
  const box = each.bbox || (each.point && [lon, lat, lon, lat]);
  if (box && move) flyTo([box[0] - AROUND, box[1] - AROUND, box[2] + AROUND, box[3] + AROUND], 19);
}

async function list(offset = 0) {
  const answer = await ask("v1/coverage/findings", { severity: state.severity, offset, limit: PAGE });
  state.rows = [...(offset ? state.rows : []), ...answer.findings];
  state.matched = answer.n_matched;
}

async function drawAll() {
  const { findings } = await ask("v1/coverage/findings", { limit: DRAWN });
  const feature = (geometry, { number: id, severity }) => ({ type: "Feature", geometry, properties: { number: id, severity } });
  const placed = findings.filter((each) => each.point);
  await draw("faults", placed.map((each) => feature({ type: "Point", coordinates: each.point }, each)));
  await draw("shapes", findings.filter((each) => each.shape).map((each) => feature(each.shape, each)));
}
