/* What the page says, in the language that was chosen: texts/<language>.json. */

const KNOWN = ["en", "zh"];
let said = {};
export let language = "en";

/** Load a language and put its texts into the page. wanted: "" for that of the browser. */
export async function speak(wanted) {
  const asked = wanted || localStorage.getItem("reunet-language") || navigator.language.slice(0, 2);
  language = KNOWN.includes(asked) ? asked : "en";
  said = await (await fetch(`static/texts/${language}.json`)).json();
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  fill(document);
}

/** A text, with its {names} filled in; `one` and `other` forms are told apart by `n`. */
export function t(key, values = {}) {
  let text = said[values.n === 1 && `${key}.one` in said ? `${key}.one` : key] ?? key;
  for (const [name, value] of Object.entries(values)) text = text.replaceAll(`{${name}}`, value);
  return text;
}

/** Put texts into everything below `root` that names one: data-t is the content, data-t-label the name. */
export function fill(root) {
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll("[data-t-label]")) {
    element.setAttribute("aria-label", t(element.dataset.tLabel));
    if (element.type === "search") element.placeholder = t(element.dataset.tLabel);
    else element.title = t(element.dataset.tLabel);
  }
}

export function number(value, digits = 0) {
  return new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: digits }).format(value);
}

/** Seconds as minutes and seconds. */
export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
