/* The tab "Correct": take what was labelled or predicted, mend it, save it as labels of the dataset. */

import { arrays, pack, upload } from "./api.js";
import { $, make, swatch } from "./dom.js";
import { Draft } from "./draft.js";
import { update } from "./library.js";
import { drawing, guard, look, redraw, viewer } from "./stage.js";
import { state, on, tell, say, failed } from "./state.js";
import { t, number } from "./texts.js";
import { TOOLS, boxMarks } from "./tools.js";
import { outlineMark } from "./viewer.js";

const UNDER_POINTER = new Set(["brush", "eraser", "polygon"]);

/** What the tools work on. */
export const work = {
  draft: null,
  tool: null,
  kind: null, // index of the class that is drawn
  background: 0,
  size: 12, // of the brush, in pixels of the image
  protect: true, // other objects stay as they are
  selected: null, // id of an object, or number of a box
  pointer: null,
  saved: false, // the labels that are shown on other tabs are no longer those that are there
  hint: (key) => say(t(key)),
  took: () => facts(),
};

export function begin() {
  guard.mayLeave = mayLeave;
  on("tab", (tab) => (tab === "correct" ? enter() : leave()));
  on("looked", () => state.tab === "correct" && enter());
  on("image", () => state.tab === "correct" && close());
  $("brush-size").addEventListener("input", () => resize(Number($("brush-size").value)));
  $("protect").addEventListener("change", () => (work.protect = $("protect").checked));
  $("edit-kind").addEventListener("change", () => takeKind($("edit-kind").value));
  $("undo").addEventListener("click", () => back("undo"));
  $("redo").addEventListener("click", () => back("redo"));
  $("delete").addEventListener("click", remove);
  $("save").addEventListener("click", save);
  $("by").value = localStorage.getItem("reunet-by") || "";
  $("by").addEventListener("change", () => localStorage.setItem("reunet-by", $("by").value.trim()));
  $("correct-opacity").addEventListener("input", () => {
    state.look.opacity = Number(($("opacity").value = $("correct-opacity").value));
    paintAll();
  });
  window.addEventListener("beforeunload", (event) => work.draft?.changed && event.preventDefault());
}

/** Fetch the labels of the page that is looked at; where there are none, what was predicted. */
async function enter() {
  const { image, page, run } = state;
  close();
  $("correct-none").hidden = Boolean(image);
  if (!image) return;
  $("edit-panel").setAttribute("aria-busy", "true");
  try {
    const path = `page/images/${image.id}/edit?page=${page}${run ? `&run=${run.id}` : ""}`;
    const { told, arrays: found } = await arrays(path);
    if (state.image !== image || state.page !== page || state.tab !== "correct") return;
    open(told, found);
  } catch (cause) {
    failed(cause);
  } finally {
    $("edit-panel").removeAttribute("aria-busy");
  }
}

function open(told, found) {
  const isWritable = !told.obstacles.some((one) => one.severity === "error");
  $("obstacles").hidden = !told.obstacles.length;
  $("obstacles").className = isWritable ? "soft small" : "note";
  $("obstacles").replaceChildren(
    ...told.obstacles.map((one) => make("p", { text: [one.message, one.fix].filter(Boolean).join(": ") })),
  );
  $("edit-tools").hidden = !isWritable;
  $("from").textContent = t(`correct.from_${told.from}`) + (told.target ? ` ${t("correct.to", { target: told.target })}` : "");
  work.draft = new Draft(told, found, told.kinds[0]);
  work.background = told.labels.findIndex((one) => !one.foreground);
  work.selected = null;
  drawing.instead = draw;
  if (told.from === "prediction") work.draft.touched.add(told.kinds[0]); // agreeing with it is worth saving
  const kinds = told.kinds.map((kind) => make("option", { value: kind, text: t(`kind.${kind}`) }));
  $("edit-kind").replaceChildren(...kinds);
  $("edit-kind-row").hidden = kinds.length < 2;
  takeKind(told.kinds[0]);
  viewer.pen = isWritable ? pen : null;
}

function close() {
  [work.draft, work.tool, drawing.instead] = [null, null, null];
  if (viewer) viewer.pen = null;
  for (const id of ["edit-tools", "obstacles"]) $(id).hidden = true;
  $("from").textContent = "";
}

function leave() {
  if (!work.draft) return;
  close();
  redraw();
  if (work.saved) look();
  work.saved = false;
}

function takeKind(kind) {
  work.draft.end();
  work.draft.kind = kind;
  work.selected = null;
  const tools = Object.entries(TOOLS[kind]);
  $("tools").replaceChildren(
    ...tools.map(([name, [, key]]) =>
      make("button", {
        type: "button", "data-tool": name, "aria-pressed": "false", title: `${t(`tool.${name}`)} (${key.toUpperCase()})`,
        text: t(`tool.${name}`), click: () => takeTool(name),
      }),
    ),
  ); // prettier-ignore
  $("brush-row").hidden = !("brush" in TOOLS[kind]);
  $("protect-row").hidden = kind !== "instances";
  $("correct-opacity-row").hidden = !("brush" in TOOLS[kind]);
  $("delete").hidden = kind === "category";
  palette();
  if (tools.length) takeTool(tools[0][0]);
  paintAll();
}

export function takeTool(name) {
  work.tool?.cancel?.();
  work.tool = TOOLS[work.draft.kind][name][0];
  for (const button of $("tools").children) {
    button.setAttribute("aria-pressed", String(button.dataset.tool === name));
  }
  $("view").dataset.tool = name;
  say(t(`hint.${name}`));
  draw();
}

/** The classes to draw with; of whole images, the class of this one. */
function palette() {
  const { told, kind, layer } = work.draft;
  const ofImage = kind === "category";
  const list = ofImage ? told.categories : told.labels;
  const shown = list.map((one, index) => ({ ...one, index })).filter((one) => ofImage || kind === "masks" || one.foreground);
  if (!ofImage && !shown.some((one) => one.index === work.kind)) work.kind = shown[0].index;
  if (!ofImage && list[work.kind] && !list[work.kind].foreground) work.kind = list.findIndex((one) => one.foreground);
  const current = ofImage ? layer.category?.index : work.kind;
  $("palette").replaceChildren(
    make("legend", { text: t(ofImage ? "correct.class_of_image" : "correct.class") }),
    ...shown.map(({ name, color, index }, place) => {
      const input = make("input", { type: "radio", name: "kind", value: index });
      input.checked = index === current;
      input.addEventListener("change", () => takeClass(index));
      const key = place < 9 ? make("kbd", { text: String(place + 1), "aria-hidden": "true" }) : null;
      return make("label", { class: "class" }, input, ofImage ? null : swatch(color), make("span", { text: name }), key);
    }),
  );
}

/** Draw with a class from now on; what is selected gets it. */
export function takeClass(index) {
  const { draft } = work;
  draft.begin();
  if (draft.kind === "category") draft.layer.category = { index, name: draft.told.categories[index].name };
  else work.kind = index;
  if (draft.kind === "instances" && work.selected) draft.layer.objects.set(work.selected, { id: work.selected, class: index });
  if (draft.kind === "boxes" && work.selected !== null) {
    draft.layer.boxes[work.selected] = { ...draft.layer.boxes[work.selected], class: index };
  }
  if (draft.end()) paintAll();
}

export function takeClassNumber(place) {
  $("palette").querySelectorAll("input")[place]?.click();
}

export function resize(size) {
  work.size = Math.max(1, Math.min(200, size));
  $("brush-size").value = work.size;
  $("brush-value").textContent = number(work.size);
  draw();
}

/** Take out the selected object or box. */
export function remove() {
  const { draft, selected } = work;
  if (!draft || selected === null) return say(t("correct.select_first"));
  draft.begin();
  if (draft.kind === "boxes") draft.layer.boxes.splice(selected, 1);
  else if (draft.kind === "instances") draft.values.forEach((value, i) => value === selected && draft.put(i, 0));
  draft.end();
  work.selected = null;
  paint();
}

export function back(way) {
  if (!work.draft?.[way]()) return say(t(`correct.nothing_to_${way}`));
  work.selected = null;
  palette();
  paint();
}

/* The pointer. */

function pen(kind, point, original) {
  if (!work.draft || !work.tool || !point || original?.button > 0 || held.space) return false;
  work.pointer = point;
  const keeps = work.tool[kind] ? work.tool[kind](work, point) : kind === "end" || kind === "click";
  paint();
  return keeps || kind === "double";
}

export const held = { space: false };

/** Enter closes what is being drawn, Escape gives it up. */
export function finish(isDone) {
  if (isDone) work.tool?.close?.(work);
  else if (work.tool?.points?.length) work.tool.cancel();
  else work.selected = null;
  paint();
}

/* Drawing. */

function paintAll() {
  work.draft.dirty = null;
  work.draft.layer.paint(work.draft.told.labels, look_());
  draw();
  facts();
}

function paint() {
  const { draft } = work;
  if (!draft) return;
  if (draft.dirty) draft.layer.paint(draft.told.labels, look_(), draft.dirty);
  draft.dirty = null;
  draw();
  facts();
}

/** Nothing is hidden while one edits. */
function look_() {
  return { ...state.look, hidden: new Set(), threshold: null };
}

function draw() {
  const { draft, tool, selected } = work;
  if (!draft) return;
  const marks = [];
  if (draft.kind === "boxes") marks.push(...boxMarks(work, draft.told.labels));
  if (draft.kind === "instances" && selected) marks.push(outlineMark(draft.layer, selected));
  if (tool?.marks) marks.push(...tool.marks(work));
  viewer.panels = [{ layers: draft.kind === "boxes" || draft.kind === "category" ? [] : [draft.layer], marks }];
  viewer.draw();
}

export function follow(point) {
  if (!work.draft || !UNDER_POINTER.has($("view").dataset.tool)) return;
  work.pointer = point;
  draw();
}

/** What is selected, and whether there is something to save. */
function facts() {
  const { draft, selected } = work;
  if (!draft) return;
  $("save").disabled = !draft.changed;
  $("undo").disabled = !draft.done.length;
  $("redo").disabled = !draft.undone.length;
  $("delete").disabled = selected === null;
  const counted = { instances: draft.layer.objects.size, boxes: draft.layer.boxes.length }[draft.kind];
  const lines = counted === undefined ? [] : [t(`correct.count_${draft.kind}`, { n: number(counted) })];
  if (selected !== null) lines.push(t("correct.selected", { id: draft.kind === "boxes" ? selected + 1 : selected }));
  $("edit-facts").textContent = lines.join(" · ");
}

/* Saving and leaving. */

export async function save() {
  const { draft } = work;
  if (!draft?.changed) return true;
  const { image, page } = state;
  const { told, arrays: edited } = draft.result();
  $("save").disabled = true;
  try {
    const body = pack({ ...told, by: $("by").value.trim() }, edited);
    const run = state.run ? `&run=${state.run.id}` : "";
    const saved = await upload("PUT", `page/images/${image.id}/edit?page=${page}${run}`, body);
    draft.told.version = saved.version;
    draft.touched.clear();
    work.saved = true;
    update(saved.image);
    state.server.dataset = saved.dataset;
    tell("corrected", saved);
    const named = saved.files.join(", ");
    say(saved.files.length ? t("correct.saved", { files: named, copies: saved.copies.length }) : t("correct.same"));
    facts();
    return true;
  } catch (cause) {
    failed(cause);
    facts();
    if (cause.status === 409) await conflict();
    return false;
  }
}

/** Two windows on one label: take theirs, or look at one's own again. */
async function conflict() {
  if ((await ask("conflict")) === "theirs") {
    work.draft.touched.clear();
    await look();
  }
}

/** Ask with one of the page's dialogs; the value of the button that was pressed. */
function ask(id) {
  const dialog = $(id);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue), { once: true }));
}

/** Whether one may go to another image: what was changed is saved or given up first. */
async function mayLeave() {
  if (!work.draft?.done.length || !work.draft.changed) return true;
  const answer = await ask("unsaved");
  if (answer === "save") return save();
  if (answer === "discard") work.draft.touched.clear();
  return answer === "discard";
}
