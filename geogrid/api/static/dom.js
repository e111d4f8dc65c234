// Making and finding elements. Texts are set as text: names come from files and may hold anything.

export const byId = (id) => document.getElementById(id);

// As in style.css: panels come up from below.
export const narrow = () => matchMedia("(max-width: 760px)").matches;

export function element(name, text = "", kind = "", ...children) {
  const made = document.createElement(name);
  if (text !== "") made.textContent = text;
  if (kind) made.className = kind;
  made.append(...children);
  return made;
}

// Fill a box anew; the control that had the focus has it again, by its place among the controls.
export function refill(box, ...children) {
  const controls = () => [...box.querySelectorAll("button, input, select, summary")];
  const held = controls().indexOf(document.activeElement);
  box.replaceChildren(...children);
  if (held >= 0) controls()[held]?.focus({ preventScroll: true });
}

export function button(text, press, kind = "") {
  const made = element("button", text, kind);
  made.type = "button";
  made.addEventListener("click", press);
  return made;
}

// A choice with its label: `change` is called with the value, or whether it is checked.
export function choice({ type, name, value = "", text, checked = false, disabled = false }, change) {
  const label = element("label", "", "choice"), input = element("input");
  Object.assign(input, { type, name, value, checked, disabled });
  input.addEventListener("change", () => change(type === "checkbox" ? input.checked : value));
  label.append(input, element("span", text));
  return label;
}

export function select(options, value, change, label) {
  const made = element("select");
  for (const [key, text] of options) made.append(new Option(text, key, false, key === value));
  made.setAttribute("aria-label", label);
  made.addEventListener("change", () => change(made.value));
  return made;
}

export function slider(text, value, change) {
  const label = element("label", "", "slider"), input = element("input");
  Object.assign(input, { type: "range", min: 0, max: 100, value: Math.round(value * 100) });
  input.addEventListener("input", () => change(input.value / 100));
  label.append(element("span", text), input);
  return label;
}

export function facts(rows) {
  const list = element("dl");
  for (const [name, value] of rows) list.append(element("dt", name), element("dd", value));
  return list;
}

// Arrow keys, Home and End move the focus between the buttons of a list.
export function walkable(list, beyond = null) {
  list.addEventListener("keydown", (event) => {
    const all = [...list.querySelectorAll("button:not([disabled])")];
    const at = all.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    if (to < 0 && beyond) beyond.focus();
    else all[to]?.focus();
  });
}
