// Short notices at the lower edge, and what is said to readers of the screen.

import { byId, button, element } from "./dom.js";
import { say } from "./words.js";

const SECONDS = 8;
const shown = new Map();

// One notice a kind: the next one of the kind takes its place. `lasting` stays until it is closed.
export function toast(kind, text, { lasting = false, calm = false, action = null } = {}) {
  dismiss(kind);
  const made = element("div", "", calm ? "toast calm" : "toast", element("span", text));
  if (action) made.append(button(action.text, () => { dismiss(kind); action.press(); }));
  const close = button("×", () => dismiss(kind), "plain");
  close.setAttribute("aria-label", say("close"));
  made.append(close);
  byId("toasts").append(made);
  const timer = lasting ? 0 : setTimeout(() => dismiss(kind), SECONDS * 1000);
  shown.set(kind, { made, timer });
}

export function dismiss(kind) {
  const found = shown.get(kind);
  if (!found) return;
  clearTimeout(found.timer);
  found.made.remove();
  shown.delete(kind);
}

export function announce(text) {
  byId("live").textContent = text;
}

export function fail(error) {
  console.warn(error);
  if (error.status === 0) toast("gone", say("gone"), { lasting: true });
  else toast("failed", say("failed") + (error.text || error.message));
}
