// What is drawn: levels, names, and pictures below them.

import { LEVELS, colours, minZoom, view } from "./cartography.js";
import { byId, choice, element, refill, slider } from "./dom.js";
import { number, say } from "./words.js";

export function showLayers({ tiles, edition, about }, changed) {
  refill(byId("layers"), levels(tiles, edition, changed), ...below(about, changed));
}

function levels(tiles, edition, changed) {
  const table = element("table", "", "levels");
  const head = element("tr");
  for (const text of ["units", "show", "colour"]) head.append(element("th", say(text)));
  table.append(element("thead", "", "", head));
  const body = element("tbody");
  body.append(levelRow([element("b", say("auto")), element("small", say("autoHint"))], null, coloured("auto", changed)));
  for (const level of LEVELS) {
    const notes = `${number(edition.counts[level])} · ${say("from", { zoom: minZoom(tiles, level) })}`;
    const shown = choice({ type: "checkbox", name: "shown", text: say(level), checked: view.shown.has(level) }, (on) => {
      if (on) view.shown.add(level);
      else view.shown.delete(level);
      changed();
    });
    body.append(levelRow([element("b", say(level)), element("small", notes)], shown, coloured(level, changed)));
  }
  table.append(body);
  const labels = choice({ type: "checkbox", name: "labels", text: say("labels"), checked: view.labels }, (on) => {
    view.labels = on;
    changed();
  });
  return element("div", "", "group", table, labels);
}

function levelRow(names, shown, chosen) {
  const row = element("tr", "", "", element("td", "", "", ...names));
  for (const control of [shown, chosen]) {
    control?.classList.add("bare");
    row.append(element("td", "", "", ...(control ? [control] : [])));
  }
  return row;
}

// Colouring by warnings has a level of its own: to choose one here is to choose households.
function coloured(level, changed) {
  const checked = view.theme === "households" && view.level === level;
  return choice({ type: "radio", name: "coloured", value: level, text: say(level), checked }, () => {
    Object.assign(view, { level, theme: "households" });
    changed();
  });
}

function below(about, changed) {
  const made = [element("h2", say("below"))];
  const imagery = choice(
    { type: "checkbox", name: "imagery", text: say("imagery"), checked: view.imagery, disabled: !about.imagery },
    (on) => { view.imagery = on; changed(); },
  );
  imagery.querySelector("input").id = "imagery-on";
  const pictures = element("div", "", "group", imagery);
  if (!about.imagery) pictures.append(element("p", say("noImagery"), "hint"));
  if (view.imagery) pictures.append(slider(say("opacity"), view.imageryOpacity, (value) => { view.imageryOpacity = value; changed(false); }));
  const options = element("div", "", "row", element("span", say("basemap"), "lead"));
  for (const [value, text] of [["none", "none"], ["vec", "drawn"], ["img", "photo"]]) {
    options.append(choice(
      { type: "radio", name: "basemap", value, text: say(text), checked: view.basemap === value, disabled: !about.basemap },
      () => { view.basemap = value; changed(); },
    ));
  }
  pictures.append(options);
  if (!about.basemap) pictures.append(element("p", say("noBasemap"), "hint"));
  if (view.basemap !== "none") pictures.append(slider(say("opacity"), view.basemapOpacity, (value) => { view.basemapOpacity = value; changed(false); }));
  made.push(pictures, element("div", "", "group", slider(say("colours"), colours(), (value) => {
    view.colours = value;
    view.coloursChosen = true;
    changed(false);
  })));
  return made;
}
