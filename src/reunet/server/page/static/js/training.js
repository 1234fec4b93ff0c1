/* The tab "Continue": train on with what was corrected, and watch. */

import { get, send } from "./api.js";
import { chart } from "./chart.js";
import { $, make } from "./dom.js";
import { state, on, tell, say, failed } from "./state.js";
import { clock, number, t } from "./texts.js";

const EVERY_MS = 1000;
const ENDED = ["finished", "stopped", "failed"];
let timer = 0;
let last = null;

export function begin() {
  $("train").addEventListener("click", () => order("start"));
  $("stop").addEventListener("click", () => order("stop"));
  $("go-on").addEventListener("click", () => order("resume"));
  $("use-new").addEventListener("click", take);
  on("tab", (tab) => tab === "continue" && follow());
  on("corrected", plan);
  on("run", plan);
}

/** What would be trained, said before it is. */
export function plan() {
  const { server, run } = state;
  const corrected = state.images.filter((one) => one.corrected).length;
  const can = Boolean(server.dataset);
  $("train").disabled = !can || last?.state === "running";
  const told = { run: run?.name, data: server.dataset?.name, n: corrected };
  $("train-plan").textContent = t(!can ? "continue.no_data" : run ? "continue.plan" : "continue.first", told);
  $("train").textContent = t(run ? "continue.start" : "continue.start_first");
}

async function order(what) {
  try {
    const minutes = Number($("minutes").value);
    const query = new URLSearchParams(state.run ? { run: state.run.id, minutes } : { minutes });
    shown(await send("POST", `page/training/${what}?${query}`, {}));
    follow();
  } catch (cause) {
    failed(cause);
  }
}

async function follow() {
  clearTimeout(timer);
  plan();
  try {
    shown(await get("page/training"));
  } catch (cause) {
    failed(cause);
  }
  if (last?.state === "running") timer = setTimeout(follow, EVERY_MS);
}

function shown(now) {
  const ended = last?.state === "running" && ENDED.includes(now.state);
  last = now;
  $("training").hidden = now.state === "none";
  $("stop").hidden = now.state !== "running";
  $("stop").disabled = now.stopping;
  $("go-on").hidden = now.state !== "stopped";
  $("use-new").hidden = !now.usable;
  $("train").disabled = now.state === "running" || !state.server.dataset;
  if (now.state === "none") return;
  const left = now.left === null ? "" : t("continue.left", { time: clock(now.left) });
  $("training-state").textContent = [now.stopping ? t("continue.stopping") : t(`continue.${now.state}`), now.task, left].filter(Boolean).join(" · ");
  $("training-bar").hidden = !now.steps;
  if (now.steps) $("training-bar").value = now.step / now.steps;
  $("training-message").textContent = now.message || "";
  const minutes = (row) => row.time_s / 60;
  const losses = now.history.filter((row) => row.loss !== null).map((row) => [minutes(row), row.loss]);
  const scores = now.history.filter((row) => row.val_score !== null).map((row) => [minutes(row), row.val_score]);
  $("curves").hidden = !losses.length;
  $("curve-loss").replaceChildren(chart(losses, { name: t("continue.loss"), unit: "min" }));
  $("curve-score").replaceChildren(chart(scores, { name: t("continue.score"), unit: "min" }));
  $("score-now").textContent = scores.length ? number(Math.max(...scores.map(([, y]) => y)), 3) : "";
  pictures(now.pictures);
  if (ended) say(t(`continue.${now.state}`), now.state === "failed");
}

/** The held-out images as the network sees them now. */
function pictures(list) {
  $("validation").hidden = !list.length;
  const now = list.map(({ name, address }) =>
    make("figure", {}, make("img", { src: address, alt: t("continue.picture", { name }) }), make("figcaption", { text: name })),
  );
  const before = [...$("validation-pictures").querySelectorAll("img")].map((one) => one.getAttribute("src"));
  if (before.join() !== list.map((one) => one.address).join()) $("validation-pictures").replaceChildren(...now);
}

/** Look at the images with the model that was just trained. */
async function take() {
  try {
    const { server, run } = await send("POST", "page/training/use", {});
    state.server = server;
    tell("server", run);
    say(t("continue.used", { name: run }));
  } catch (cause) {
    failed(cause);
  }
}
