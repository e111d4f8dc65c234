// What is kept in the address, so that a copied address shows the same: #map=…&unit=…&tab=…&lang=…

const kept = new Map();

function parts() {
  return location.hash.replace(/^#/, "").split("&").filter(Boolean).map((part) => part.split("="));
}

export function recall(name) {
  const found = parts().find(([key]) => key === name);
  return found ? decodeURIComponent(found.slice(1).join("=")) : "";
}

// The map keeps its own part; the others are written as they change.
export function remember(name, value) {
  if (kept.get(name) === value) return;
  kept.set(name, value);
  const others = parts().filter(([key]) => key !== name);
  if (value) others.push([name, encodeURIComponent(value)]);
  history.replaceState(history.state, "", "#" + others.map((part) => part.join("=")).join("&"));
}
