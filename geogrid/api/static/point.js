// One position by its coordinates. The datum must be chosen: nothing in the numbers tells it.

import { button, byId, choice, element } from "./dom.js";
import { ask } from "./service.js";
import { say } from "./words.js";

const DATUMS = ["cgcs2000", "wgs84", "gcj02", "bd09"];
const typed = { text: "", datum: "" };

// Longitude and latitude of a text, null if it is no pair: decimals or degrees, minutes, seconds,
// half or full width, in the order that words or letters say, else longitude first.
export function pairOf(text) {
  const plain = text.normalize("NFKC").replace(
    /(\d+(?:\.\d+)?)\s*[°度]\s*(?:(\d+(?:\.\d+)?)\s*['′’分]\s*)?(?:(\d+(?:\.\d+)?)\s*(?:["″”秒]|''))?/g,
    (_, degrees, minutes = 0, seconds = 0) => `${+degrees + minutes / 60 + seconds / 3600} `,
  );
  const numbers = [...plain.matchAll(/[-+]?\d+(?:\.\d+)?/g)].map((each) => Number(each[0]));
  if (numbers.length !== 2) return null;
  const latitude = plain.search(/纬|lat|n/i), longitude = plain.search(/经|lon|lng|e/i);
  const turned = latitude >= 0 && longitude >= 0 && latitude < longitude;
  return turned ? numbers.reverse() : numbers;
}

// In China a longitude is never a latitude: 73 to 135 and 3 to 54 degrees do not overlap.
function isSwapped(lon, lat) {
  return lon >= 3 && lon <= 54 && lat >= 73 && lat <= 135;
}

export function showPoint({ look, centre }) {
  const form = element("form", "", "group");
  const input = element("input");
  Object.assign(input, { id: "pair", type: "text", value: typed.text, autocomplete: "off", maxLength: 120, placeholder: "114.6497, 33.6204" });
  input.addEventListener("input", () => { typed.text = input.value; advise(); });
  const label = element("label", say("pointLabel"), "lead");
  label.htmlFor = "pair";
  const datums = element("fieldset", "", "", element("legend", say("datum")));
  for (const value of DATUMS) {
    datums.append(choice({ type: "radio", name: "datum", value, text: say(value), checked: typed.datum === value }, () => {
      typed.datum = value;
      advise();
    }));
  }
  const go = element("button", say("locate"), "main");
  go.type = "submit";
  const take = button(say("here"), () => {
    const { lng, lat } = centre();
    input.value = typed.text = `${lng.toFixed(6)}, ${lat.toFixed(6)}`;
    typed.datum = "cgcs2000";
    datums.querySelector("input").checked = true;
    advise();
  });
  const advice = element("p", "", "advice");
  advice.setAttribute("role", "alert");
  form.append(element("p", say("pointHint"), "hint"), label, input, datums, advice, element("p", "", "row", go, take));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  byId("point").replaceChildren(form);

  async function submit(pair = pairOf(typed.text)) {
    if (!pair) return advise(say("notPair"));
    if (!typed.datum) return advise(say("datumMissing"));
    const [lon, lat] = pair;
    if (isSwapped(lon, lat)) {
      return advise(say("swapped"), button(say("swap", { lon: lat, lat: lon }), () => {
        input.value = typed.text = `${lat}, ${lon}`;
        submit([lat, lon]);
      }));
    }
    advise();
    try {
      await look({ lon, lat, datum: typed.datum });
    } catch (error) {
      advise(error.text || error.message);
    }
  }

  function advise(text = "", action = null) {
    advice.replaceChildren(...(text ? [element("span", text)] : []), ...(action ? [action] : []));
  }
}

// Where a position lies on the map, which draws CGCS2000.
export async function onMap({ lon, lat, datum }) {
  if (datum === "cgcs2000" || datum === "wgs84") return [lon, lat];
  const found = await ask("v1/convert", { lon, lat, datum });
  return [found.lon, found.lat];
}
