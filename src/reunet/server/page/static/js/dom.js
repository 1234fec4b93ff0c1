/* Elements of the page in one line each. */

export const $ = (id) => document.getElementById(id);

/** A new element. facts: attributes; functions are listeners; `text` its content. */
export function make(tag, facts = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(facts)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A small square in a colour. */
export function swatch(color) {
  const square = make("span", { class: "swatch", "aria-hidden": "true" });
  square.style.background = `rgb(${color.join()})`;
  return square;
}

/** Call a function once, after the last of many calls. */
export function later(action, milliseconds) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...given), milliseconds);
  };
}
