// What the page asks of the service that it came from, and what it does when there is no answer.

import { current } from "./words.js";

export const ROOT = new URL(".", location.href).href.split("#")[0];

const KEY = "geogrid.key";
let askForKey = null;

// What went wrong, in both languages; `status` is 0 where there was no answer at all.
export class ServiceError extends Error {
  constructor(status, code, said = {}) {
    super(said.detail_en || said.detail || code);
    Object.assign(this, { status, code, said });
  }

  get text() {
    return this.said[`detail_${current()}`] || this.said.detail || this.message;
  }
}

export function whenKeyIsAsked(work) {
  askForKey = work;
}

export function headers() {
  const key = sessionStorage.getItem(KEY);
  return key ? { "X-API-Key": key } : {};
}

export function keepKey(key) {
  sessionStorage.setItem(KEY, key);
}

export async function ask(path, query = {}) {
  const address = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) {
    for (const each of [value].flat()) {
      if (each !== null && each !== undefined && each !== "") address.searchParams.append(name, each);
    }
  }
  let answer;
  try {
    answer = await fetch(address, { headers: headers() });
  } catch (error) {
    throw new ServiceError(0, "gone", {});
  }
  if (answer.status === 401 && askForKey && (await askForKey())) return ask(path, query);
  if (!answer.ok) throw new ServiceError(answer.status, ...(await problem(answer)));
  return answer.json();
}

async function problem(answer) {
  try {
    const said = await answer.json();
    return [said.code || String(answer.status), said];
  } catch (error) {
    return [String(answer.status), { detail: `${answer.status} ${answer.statusText}` }];
  }
}

// An address that the service gave, on the host by which the page reached it.
export function here(address) {
  return address.replace(/^https?:\/\/[^/]+\//, new URL(ROOT).origin + "/");
}
