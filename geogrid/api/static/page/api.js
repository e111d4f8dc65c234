// The service, and its errors as sentences.

import { lang, text } from "./text.js";

export async function get(path, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  let answer;
  try {
    answer = await fetch(query ? `${path}?${query}` : path);
  } catch {
    throw new Error(text().failed);
  }
  const content = await answer.json();
  if (answer.ok) return content;
  throw new Error((lang === "zh" && content.detail_zh) || content.detail || answer.statusText);
}
