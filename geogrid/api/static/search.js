// Search by name or code: a combobox, its list walked by arrow keys.

import { button, byId, element } from "./dom.js";
import { ask } from "./service.js";
import { announce, fail } from "./toasts.js";
import { dashed, say } from "./words.js";

const WAIT = 180; // milliseconds without a key
const MOST = 20;

export function openSearch(pick) {
  const input = byId("query"), list = byId("results");
  let timer = 0, last = "", at = -1;

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => search().catch(fail), WAIT);
  });
  input.addEventListener("keydown", (event) => {
    const rows = options();
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (to !== undefined && rows.length) {
      event.preventDefault();
      mark((to + rows.length) % rows.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (rows.length) rows[Math.max(at, 0)].click();
      else search().then(() => options()[0]?.click()).catch(fail);
    } else if (event.key === "Escape" && !list.hidden) {
      event.stopPropagation();
      close();
    }
  });
  document.addEventListener("click", (event) => {
    if (!byId("search").contains(event.target)) close();
  });

  async function search() {
    clearTimeout(timer);
    const text = (last = input.value.trim());
    const found = text ? await ask("v1/search", { q: text, limit: MOST }) : [];
    if (text !== last) return;
    list.replaceChildren(...found.map(row));
    if (text && !found.length) list.append(element("li", say("nothing"), "empty"));
    if (text) announce(found.length ? say("nFound", { n: found.length }) : say("nothing"));
    list.hidden = !list.children.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    mark(-1);
  }

  function row(unit, k) {
    const above = (unit.parents || []).slice(1).map((each) => each.name).join(" / ");
    const made = button("", () => { close(); pick(unit.code); });
    made.tabIndex = -1;
    made.append(element("span", say(unit.level), "kind"), element("b", unit.name), element("span", dashed(unit.code), "code"));
    if (above) made.append(element("span", above, "parents"));
    const item = element("li", "", "", made);
    item.id = `result-${k}`;
    item.setAttribute("role", "option");
    return item;
  }

  function options() {
    return [...list.querySelectorAll("button")];
  }

  function mark(k) {
    at = k;
    options().forEach((each, j) => {
      each.classList.toggle("on", j === k);
      each.parentElement.setAttribute("aria-selected", String(j === k));
      if (j === k) each.scrollIntoView({ block: "nearest" });
    });
    if (k < 0) input.removeAttribute("aria-activedescendant");
    else input.setAttribute("aria-activedescendant", `result-${k}`);
  }

  function close() {
    clearTimeout(timer);
    last = null;
    list.hidden = true;
    list.replaceChildren();
    input.setAttribute("aria-expanded", "false");
    mark(-1);
  }
}
