/* The middle of the page: the image that is looked at, its pages, and what was found in it. */

import { arrays, get } from "./api.js";
import { $, later } from "./dom.js";
import { Layer } from "./layer.js";
import { state, on, tell, say, failed } from "./state.js";
import { number, t } from "./texts.js";
import { Viewer, boxMark, outlineMark } from "./viewer.js";

export let viewer = null;
let asked = 0; // the last thing that was asked for: answers to earlier ones come too late

export function begin() {
  viewer = new Viewer($("view"));
  viewer.osd.canvas.id = "picture";
  viewer.osd.canvas.setAttribute("role", "application");
  viewer.onHover = hover;
  viewer.osd.addHandler("canvas-click", (event) => {
    if (!event.preventDefaultAction && event.quick && state.tab !== "correct") pick(viewer.under(event.position));
  });
  $("zoom-in").addEventListener("click", () => viewer.zoom(1.5));
  $("zoom-out").addEventListener("click", () => viewer.zoom(1 / 1.5));
  $("zoom-fit").addEventListener("click", () => viewer.fit());
  $("page").addEventListener("input", later(() => turn(Number($("page").value)), 60));
  $("predict-here").addEventListener("click", () => look());
  on("look", redraw);
  on("run", () => state.image && look());
  $("play").addEventListener("click", play);
}

/** Look at an image of the list. page: of a stack; keep: stay where one is looking. */
export async function show(image, page = 0, keep = false) {
  if (!(await mayLeave())) return false;
  const mine = ++asked;
  Object.assign(state, { image, page, prediction: null, truth: null });
  state.look.selected = null;
  viewer.panels = [];
  $("empty").hidden = true;
  $("stage").setAttribute("aria-busy", "true");
  tell("image", image);
  try {
    if (!image.width) Object.assign(image, await get(`page/images/${image.id}`));
    if (mine !== asked) return false;
    turnable(image, page);
    await viewer.open(source(image, page), panels(), keep);
    if (mine !== asked) return false;
    await look();
    return true;
  } catch (cause) {
    if (mine === asked) failed(cause.told ? cause : new Error(t("picture.failed", { name: image.name })));
    return false;
  } finally {
    if (mine === asked) $("stage").removeAttribute("aria-busy");
  }
}

/** Whoever edits may ask to stay. */
export const guard = { mayLeave: async () => true };
const mayLeave = () => guard.mayLeave();

function source(image, page) {
  const base = `page/images/${image.id}`;
  const { width, height } = image;
  if (!image.tiles) return { width, height, url: `${base}/picture?page=${page}` };
  const { size, levels } = image.tiles;
  const tile = (level, x, y) => `${base}/tile?page=${page}&level=${level}&x=${x}&y=${y}`;
  return { width, height, tileSize: size, levels, tile };
}

function panels() {
  return state.look.show === "beside" && state.image?.truth && state.tab !== "correct" ? 2 : 1;
}

/** Fetch what is known of the page that is looked at: the truth, and what the model says. */
export async function look() {
  const { image, page, run } = state;
  const mine = asked;
  const path = (of) => {
    const box = image.tiles ? `&box=${window_().join()}` : "";
    return `page/images/${image.id}/layers?of=${of}&page=${page}${run ? `&run=${run.id}` : ""}${box}`;
  };
  const wanted = [["truth", image.truth], ["prediction", run !== null]]; // prettier-ignore
  $("stage").setAttribute("aria-busy", "true");
  await Promise.all(
    wanted.map(async ([of, there]) => {
      if (!there) return;
      try {
        const { told, arrays: found } = await arrays(path(of));
        if (mine !== asked) return;
        state[of] = new Layer(told, found);
        tell("layers", of);
        redraw();
      } catch (cause) {
        if (mine === asked) failed(cause);
      }
    }),
  );
  if (mine !== asked) return;
  $("stage").removeAttribute("aria-busy");
  $("predict-here").hidden = !image.tiles || !run;
  tell("looked");
}

/** What is seen of an image that is too large to be predicted at once: at most as much as the server takes. */
function window_() {
  const [y0, x0, y1, x1] = viewer.seen();
  const most = state.server.most_side;
  const [cy, cx] = [(y0 + y1) / 2, (x0 + x1) / 2];
  const [h, w] = [Math.min(y1 - y0, most), Math.min(x1 - x0, most)];
  return [cy - h / 2, cx - w / 2, cy + h / 2, cx + w / 2].map(Math.round);
}

/* Pages of a stack or video. */

function turnable(image, page) {
  $("pages").hidden = image.pages < 2;
  $("page").max = image.pages - 1;
  $("page").value = page;
  $("page-number").textContent = t("pages.of", { page: page + 1, pages: image.pages });
  $("page").setAttribute("aria-valuetext", $("page-number").textContent);
}

export async function turn(page) {
  const { image } = state;
  if (!image || page < 0 || page >= image.pages || page === state.page) return;
  if (!(await show(image, page, true))) turnable(image, state.page);
}

let playing = false;

async function play() {
  playing = !playing;
  $("play").setAttribute("aria-pressed", String(playing));
  while (playing && state.image?.pages > 1) {
    const next = (state.page + 1) % state.image.pages;
    await Promise.all([show(state.image, next, true), new Promise((done) => setTimeout(done, 120))]);
  }
  playing = false;
  $("play").setAttribute("aria-pressed", "false");
}

/* Drawing. */

/** What is drawn of a layer beside its pixels: its boxes, and what is selected. */
function marksOf(layer, dashed = false) {
  const { look } = state;
  const classes = classesOf(layer);
  const marks = layer
    .boxesAt(look.threshold)
    .filter((box) => !look.hidden.has(box.class))
    .map((box) => {
      const color = dashed ? "#ffffff" : `rgb(${classes[box.class].color.join()})`;
      return boxMark(box.box, color, { dashed, strong: box.number === look.selected });
    });
  if (layer.ids && look.selected !== null) marks.push(outlineMark(layer, look.selected));
  return marks;
}

export function classesOf(layer) {
  return layer.labels || state.run?.classes || state.server.dataset?.classes || [];
}

/** Other views (editing) draw themselves: they set this. */
export const drawing = { instead: null };

export function redraw() {
  if (drawing.instead) return drawing.instead();
  const { prediction, truth, look } = state;
  const one = (layer, dashed) => {
    if (!layer) return { layers: [], marks: [] };
    layer.paint(classesOf(layer), dashed ? { ...look, opacity: 0.15, threshold: null } : look);
    return { layers: [layer], marks: marksOf(layer, dashed) };
  };
  if (look.show === "truth") viewer.panels = [one(truth)];
  else if (look.show === "both") {
    const [below, above] = [one(prediction), one(truth, true)];
    viewer.panels = [{ layers: [...below.layers, ...above.layers], marks: [...below.marks, ...above.marks] }];
  } else if (look.show === "beside" && truth) viewer.panels = [one(prediction), one(truth)];
  else viewer.panels = [one(prediction)];
  viewer.draw();
  describe();
  tell("drawn");
}

/** Show the picture once or twice, as it is asked for. */
export async function arrange() {
  if (!state.image) return;
  if (viewer.osd.world.getItemCount() !== panels()) await viewer.open(source(state.image, state.page), panels());
  redraw();
}

/** What the picture shows, for those who do not see it. */
function describe() {
  const { image, prediction, truth, look } = state;
  if (!image) return;
  const layer = look.show === "truth" ? truth : prediction || truth;
  const parts = [t("picture.of", { name: image.name, width: image.width, height: image.height })];
  if (layer?.ids) {
    const n = [...layer.objects.keys()].filter((id) => layer.counts(id, look.threshold)).length;
    parts.push(t("found.objects", { n }));
  }
  if (layer?.boxes.length) parts.push(t("found.boxes", { n: layer.boxesAt(look.threshold).length }));
  if (layer?.category) parts.push(t("found.class", { name: layer.category.name }));
  viewer.osd.canvas.setAttribute("aria-label", parts.join(" "));
}

/* What lies under the pointer. */

function layerOf(panel) {
  const { look, prediction, truth } = state;
  return look.show === "truth" || (look.show === "beside" && panel === 1) ? truth : prediction;
}

export function factsOf(layer, { id, box, class: kind }) {
  const classes = classesOf(layer);
  const lines = [];
  const told = id ? layer.objects.get(id) : box !== undefined ? layer.boxes[box] : null;
  const index = told?.class ?? (box !== undefined ? layer.boxes[box].class : id ? null : kind);
  if (id) lines.push(t("facts.object", { id }));
  if (index !== null && index !== undefined && classes[index]) lines.push(classes[index].name);
  if (told?.area) lines.push(t("facts.area", { area: number(told.area) }));
  if (told?.area_um2) lines.push(`${number(told.area_um2, 2)} µm²`);
  if (told?.score !== undefined) lines.push(t("facts.score", { score: told.score.toFixed(2) }));
  return lines;
}

function hover(point, position) {
  const tip = $("tip");
  const layer = point && layerOf(point.panel);
  const found = layer && !drawing.instead ? layer.at(point.x, point.y, state.look) : null;
  const named = found && (found.id || found.box !== undefined || classesOf(layer)[found.class]?.foreground);
  tip.hidden = !named;
  $("where").textContent = point ? `${Math.floor(point.x)}, ${Math.floor(point.y)}` : "";
  if (!named) return;
  tip.textContent = factsOf(layer, found).join("\n");
  const room = $("view").clientWidth;
  tip.style.top = `${position.y + 14}px`;
  tip.style.left = `${Math.min(position.x + 14, Math.max(0, room - tip.offsetWidth - 8))}px`;
}

/** Select what lies at a point. */
function pick(point) {
  const layer = point && layerOf(point.panel);
  const found = layer ? layer.at(point.x, point.y, state.look) : {};
  select(found.box ?? found.id ?? null);
}

/** Select an object by its id, or a box by its number; bring: into view. */
export function select(which, bring = false) {
  state.look.selected = which;
  const layer = layerOf(0) || state.truth;
  if (which !== null && layer && bring) {
    const box = layer.ids ? layer.boundsOf(which) : layer.boxes[which]?.box;
    if (box) viewer.showBox(box);
    say(factsOf(layer, layer.ids ? { id: which } : { box: which }).join(", "));
  }
  redraw();
  tell("selected", which);
}
