/* Begins the page: language, tabs, models and keys; everything else lies in the other files. */

import { get } from "./api.js";
import { $, make } from "./dom.js";
import * as correct from "./correct.js";
import * as library from "./library.js";
import * as look from "./look.js";
import * as stage from "./stage.js";
import * as suggest from "./suggest.js";
import * as training from "./training.js";
import { state, on, tell, failed } from "./state.js";
import { language, speak, t } from "./texts.js";
import { TOOLS } from "./tools.js";

const TABS = ["look", "correct", "suggest", "continue"];

async function main() {
  on("said", ({ text, error }) => {
    $("said").textContent = text;
    $("said").classList.toggle("error", error);
  });
  on("go", choose);
  on("server", served);
  on("corrected", named);
  await speak(new URLSearchParams(location.search).get("lang") || "");
  stage.begin();
  for (const part of [library, look, correct, suggest, training]) part.begin();
  tabs();
  $("language").value = language;
  $("language").addEventListener("change", () => {
    localStorage.setItem("reunet-language", $("language").value);
    location.search = `?lang=${$("language").value}`;
  });
  $("run").addEventListener("change", () => takeRun($("run").value));
  $("help").addEventListener("click", () => $("keys").showModal());
  document.addEventListener("keydown", keys);
  document.addEventListener("keyup", (event) => event.key === " " && (correct.held.space = false));
  $("view").addEventListener("pointermove", (event) => {
    const box = $("view").getBoundingClientRect();
    const position = { x: event.clientX - box.left, y: event.clientY - box.top };
    if (state.tab === "correct" && state.image) correct.follow(stage.viewer.near(position));
  });
  state.server = await get("page/state");
  served();
  await library.load();
  if (state.images.length) stage.show(state.images[0]);
  document.body.dataset.ready = "true";
}

/** What the server has: models to choose from, and the dataset. run: the id of the one to take. */
function served(run = null) {
  const { runs } = state.server;
  const entries = runs.map((one) => make("option", { value: one.id, text: one.name }));
  $("run").replaceChildren(...(entries.length ? entries : [make("option", { value: "", text: t("run.none") })]));
  $("run").disabled = runs.length < 2;
  named();
  takeRun(run || state.run?.id || runs[0]?.id);
}

/** The dataset that labels are saved in; it may begin with the first that is saved. */
function named() {
  const { dataset } = state.server;
  $("dataset").textContent = dataset ? dataset.name : "";
  $("dataset-row").hidden = !dataset;
}

function takeRun(id) {
  state.run = state.server.runs.find((one) => one.id === id) || null;
  $("run").value = state.run?.id || "";
  $("run-task").textContent = state.run ? state.run.tasks.map((task) => t(`task.${task}`)).join(", ") : "";
  tell("run", state.run);
}

/* Tabs, as the pattern for them asks: arrows go from one to the next. */

function tabs() {
  for (const name of TABS) {
    $(`tab-${name}`).addEventListener("click", () => choose(name));
    $(`tab-${name}`).addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      const next = TABS[(TABS.indexOf(name) + by + TABS.length) % TABS.length];
      choose(next);
      $(`tab-${next}`).focus();
    });
  }
}

async function choose(name) {
  if (name === state.tab || !(await stage.guard.mayLeave())) return;
  state.tab = name;
  for (const one of TABS) {
    const here = one === name;
    $(`tab-${one}`).setAttribute("aria-selected", String(here));
    $(`tab-${one}`).tabIndex = here ? 0 : -1;
    $(`panel-${one}`).hidden = !here;
  }
  document.body.dataset.tab = name;
  await stage.arrange();
  tell("tab", name);
}

/* Keys. */

function keys(event) {
  const typing = event.target.matches("input:not([type=radio]):not([type=checkbox]), select, textarea");
  if (document.querySelector("dialog[open]")) return;
  const control = event.ctrlKey || event.metaKey;
  const done = control ? withControl(event) : !typing && !event.altKey && plain(event);
  if (done) event.preventDefault();
}

function withControl(event) {
  if (state.tab !== "correct" || !correct.work.draft) return false;
  const key = event.key.toLowerCase();
  if (key === "s") correct.save();
  else if (key === "z") correct.back(event.shiftKey ? "redo" : "undo");
  else if (key === "y") correct.back("redo");
  else return false;
  return true;
}

function plain(event) {
  const { key } = event;
  if (key === "?") $("keys").showModal();
  else if (key === "j" || key === "J") library.step(1);
  else if (key === "k" || key === "K") library.step(-1);
  else if (key === ",") stage.turn(state.page - 1);
  else if (key === ".") stage.turn(state.page + 1);
  else if (state.tab === "look" && key === "n") look.review(1);
  else if (state.tab === "look" && key === "N") look.review(-1);
  else if (state.tab === "correct" && correct.work.draft) return drawn(event);
  else return false;
  return true;
}

function drawn(event) {
  const { key } = event;
  const tools = TOOLS[correct.work.draft.kind];
  const tool = Object.keys(tools).find((name) => tools[name][1] === key.toLowerCase());
  const isButton = event.target.matches("button, a, summary, input");
  if (tool && !$("edit-tools").hidden) correct.takeTool(tool);
  else if (key === "[") correct.resize(correct.work.size / 1.25 - 0.5);
  else if (key === "]") correct.resize(correct.work.size * 1.25 + 0.5);
  else if (key === "Delete" || key === "Backspace") correct.remove();
  else if (key === "Escape") correct.finish(false);
  else if (key === "Enter" && !isButton) correct.finish(true);
  else if (key === " " && !isButton) correct.held.space = true;
  else if (/^[1-9]$/.test(key)) correct.takeClassNumber(Number(key) - 1);
  else return false;
  return true;
}

main().catch(failed);
