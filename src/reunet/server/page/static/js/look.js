/* The tab "Look": how it is shown, and the table of what was found. */

import { $, make, swatch, later } from "./dom.js";
import { arrange, classesOf, redraw, select } from "./stage.js";
import { state, on, tell } from "./state.js";
import { number, t } from "./texts.js";

const MOST_ROWS = 300;
const sorting = { by: null, down: false, chosen: false };

export function begin() {
  $("opacity").addEventListener("input", () => change({ opacity: Number($("opacity").value) }));
  $("outlines").addEventListener("change", () => change({ outlines: $("outlines").checked }));
  $("threshold").addEventListener("input", () => change({ threshold: Number($("threshold").value) }));
  $("threshold-reset").addEventListener("click", () => {
    change({ threshold: null });
    layers();
  });
  $("showing").addEventListener("change", () => {
    state.look.show = $("showing").value;
    arrange();
  });
  $("least-sure").addEventListener("click", () => review(1));
  on("image", () => {
    state.look.threshold = null;
    $("showing-row").hidden = !state.image.truth;
    if (!state.image.truth && state.look.show !== "prediction") {
      state.look.show = $("showing").value = "prediction";
    }
    for (const id of ["classes", "found-head", "found-rows", "category"]) $(id).replaceChildren();
    $("found-note").textContent = "";
  });
  on("layers", layers);
  on("drawn", later(table, 80));
  on("selected", row);
}

function change(what) {
  Object.assign(state.look, what);
  tell("look");
}

/** The layer that the panel speaks of. */
function main() {
  return state.look.show === "truth" ? state.truth : state.prediction || state.truth;
}

function layers() {
  const layer = main();
  if (!layer) return;
  const cut = state.look.threshold ?? layer.threshold ?? (layer.thresholds ? Math.min(...layer.thresholds.filter((x) => x > 0)) : 0);
  $("threshold-row").hidden = !layer.has_threshold;
  $("threshold").value = cut;
  $("threshold-value").textContent = cut.toFixed(2);
  legend(layer);
  category(layer);
  table();
}

/** Classes with their colours; each can be hidden. */
function legend(layer) {
  const classes = classesOf(layer);
  const shown = classes.map((one, index) => ({ ...one, index })).filter((one) => one.foreground);
  const drawn = Boolean(layer.classes || layer.ids || layer.boxes.length);
  $("classes").replaceChildren(
    ...(drawn ? shown : []).map(({ name, color, index }) => {
      const box = make("input", { type: "checkbox", id: `class-${index}` });
      box.checked = !state.look.hidden.has(index);
      box.addEventListener("change", () => {
        state.look.hidden[box.checked ? "delete" : "add"](index);
        tell("look");
      });
      return make("label", { class: "class" }, box, swatch(color), make("span", { text: name }));
    }),
  );
  for (const id of ["classes-group", "opacity-row", "outlines-row"]) $(id).hidden = !drawn;
}

/** How probable each class of the whole image is. */
function category(layer) {
  const told = layer.category;
  $("category-group").hidden = !told;
  if (!told) return;
  const rows = Object.entries(told.probabilities || { [told.name]: 1 }).sort((a, b) => b[1] - a[1]);
  $("category").replaceChildren(
    ...rows.map(([name, share]) =>
      make(
        "div", { class: "chance" },
        make("span", { text: name }),
        make("meter", { min: 0, max: 1, value: share, "aria-label": `${name} ${Math.round(100 * share)} %` }),
        make("span", { text: `${(100 * share).toFixed(1)} %` }),
      ), // prettier-ignore
    ),
  );
}

/* The table. */

/** Rows of what is seen: objects, boxes, or else classes of pixels. */
function rowsOf(layer) {
  const { look } = state;
  const classes = classesOf(layer);
  const several = classes.filter((one) => one.foreground).length > 1;
  const kind = (index) => (several ? { class: classes[index]?.name } : {});
  if (layer.ids) {
    const only = classes.findIndex((one) => one.foreground);
    return [...layer.objects.values()]
      .filter((one) => layer.counts(one.id, look.threshold) && !look.hidden.has(one.class ?? only))
      .map((one) => ({ key: one.id, id: one.id, ...kind(one.class), area: one.area, area_um2: one.area_um2, score: one.score }));
  }
  if (layer.boxes.length) {
    return layer
      .boxesAt(look.threshold)
      .filter((box) => !look.hidden.has(box.class))
      .map(({ number: key, class: index, score, box: [y0, x0, y1, x1] }) => ({
        key, id: key + 1, ...kind(index), width: Math.round(x1 - x0), height: Math.round(y1 - y0), score,
      })); // prettier-ignore
  }
  if (!layer.shown) return [];
  const counts = new Array(256).fill(0);
  for (const value of layer.shown) counts[value]++;
  return classes.flatMap(({ name }, index) => {
    const um2 = layer.pixel_um2 ? counts[index] * layer.pixel_um2 : undefined;
    return [{ key: null, class: name, area: counts[index], area_um2: um2, share: counts[index] / layer.shown.length }];
  });
}

function table() {
  const layer = main();
  if (!layer || state.tab !== "look") return;
  $("threshold-value").textContent = Number($("threshold").value).toFixed(2);
  const rows = rowsOf(layer);
  const names = [...new Set(rows.flatMap((one) => Object.keys(one)))].filter(
    (name) => name !== "key" && rows.some((one) => one[name] !== undefined),
  );
  if (!sorting.chosen || !names.includes(sorting.by)) {
    Object.assign(sorting, { by: names.includes("score") ? "score" : names[0], down: false, chosen: false });
  }
  rows.sort((a, b) => (sorting.down ? -1 : 1) * compare(a[sorting.by], b[sorting.by]));
  $("found-head").replaceChildren(...names.map(heading));
  $("found-rows").replaceChildren(...rows.slice(0, MOST_ROWS).map((one) => line(one, names)));
  const more = rows.length > MOST_ROWS ? t("table.more", { n: number(rows.length - MOST_ROWS) }) : "";
  const counted = layer.ids || layer.boxes.length ? t("table.found", { n: number(rows.length) }) : "";
  $("found-note").textContent = [counted, more].filter(Boolean).join(" ");
  $("found-title").hidden = !rows.length;
  $("least-sure").hidden = !names.includes("score") || !rows.length;
  row(state.look.selected);
}

function compare(a, b) {
  return typeof a === "string" ? a.localeCompare(b ?? "") : (a ?? -Infinity) - (b ?? -Infinity);
}

function heading(name) {
  const here = sorting.by === name;
  const button = make("button", {
    type: "button", text: t(`table.${name}`),
    click: () => {
      Object.assign(sorting, { down: here ? !sorting.down : false, by: name, chosen: true });
      table();
    },
  }); // prettier-ignore
  const order = here ? (sorting.down ? "descending" : "ascending") : "none";
  return make("th", { scope: "col", "aria-sort": order, class: name === "class" ? "text" : null }, button);
}

function line(one, names) {
  const cells = names.map((name) => {
    const text = shown(name, one[name]);
    if (name !== "id") return make("td", { text, class: name === "class" ? "text" : null });
    return make("td", {}, make("button", { type: "button", text, click: () => select(one.key, true) }));
  });
  const row = make("tr", { "data-key": one.key }, ...cells);
  if (one.key !== null) row.addEventListener("click", () => select(one.key, true));
  return row;
}

function shown(name, value) {
  if (value === undefined || value === null) return "";
  if (name === "score") return value.toFixed(3);
  if (name === "share") return `${(100 * value).toFixed(1)} %`;
  return typeof value === "number" ? number(value, name === "area_um2" ? 2 : 0) : value;
}

/** Show which row is the selected object. */
function row(which) {
  for (const one of $("found-rows").children) {
    const here = which !== null && one.dataset.key === String(which);
    one.classList.toggle("selected", here);
    if (here) one.scrollIntoView({ block: "nearest" });
  }
}

/** The next object in the order of the table: with the least sure first, that is the review. */
export function review(by) {
  const keys = [...$("found-rows").children].map((one) => Number(one.dataset.key));
  if (!keys.length) return;
  const at = keys.indexOf(state.look.selected);
  select(keys[(at + by + keys.length) % keys.length], true);
}

export function refresh() {
  redraw();
  layers();
}
