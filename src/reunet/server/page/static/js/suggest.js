/* The tab "Which next": unlabelled images in the order of how much their labels would teach. */

import { send } from "./api.js";
import { $, make } from "./dom.js";
import { show } from "./stage.js";
import { state, on, tell, say, failed } from "./state.js";
import { t } from "./texts.js";

let found = null;

export function begin() {
  $("suggest").addEventListener("click", ask);
  on("image", mark);
  on("corrected", ({ image }) => {
    const entry = $("suggestions").querySelector(`[data-image="${image.id}"]`);
    entry?.classList.add("done");
  });
  on("tab", (tab) => tab === "suggest" && fill());
}

async function ask() {
  if (!state.run) return say(t("suggest.no_run"), true);
  $("suggest").disabled = true;
  $("suggest-panel").setAttribute("aria-busy", "true");
  say(t("suggest.working"));
  try {
    const n = Number($("suggest-count").value) || 20;
    const query = new URLSearchParams({ run: state.run.id, n });
    found = await send("POST", `page/suggest?${query}`, {});
    fill();
    say(t("suggest.done", { n: found.suggestions.length }));
  } catch (cause) {
    failed(cause);
  } finally {
    $("suggest").disabled = false;
    $("suggest-panel").removeAttribute("aria-busy");
  }
}

function fill() {
  if (!found) return;
  $("suggest-note").textContent = t(`suggest.${found.confidence}`);
  $("suggestions").replaceChildren(...found.suggestions.map(entry));
  mark();
}

function entry({ image: id, name, score, reason }) {
  const image = state.images.find((one) => one.id === id);
  const open = async () => {
    if (image && (await show(image))) tell("go", "correct");
  };
  const button = make("button", { type: "button", click: open });
  button.append(
    make("img", { src: `page/images/${id}/thumbnail`, alt: "", width: 56, height: 56, loading: "lazy" }),
    make("span", { class: "told" }, make("span", { class: "name", text: name }), make("small", { text: reason })),
    make("span", { class: "score", text: score.toFixed(2), title: t("suggest.score") }),
  );
  return make("li", { "data-image": id, class: image?.corrected ? "done" : null }, button);
}

function mark() {
  for (const one of $("suggestions").children) one.classList.toggle("current", one.dataset.image === state.image?.id);
}
