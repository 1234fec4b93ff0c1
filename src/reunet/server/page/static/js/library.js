/* The list of images on the left, and how images come into it: dropped, chosen, as a folder or a zip. */

import { get, send, upload } from "./api.js";
import { $, make } from "./dom.js";
import { show } from "./stage.js";
import { state, on, tell, say, failed } from "./state.js";
import { number, t } from "./texts.js";

const AT_ONCE = 3; // files on their way at a time
const IGNORED = /(^|\/)(\.|__MACOSX|Thumbs\.db|desktop\.ini)/;

export function begin() {
  const zone = document.body;
  let depth = 0;
  const over = (change) => (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    depth = Math.max(0, depth + change);
    zone.classList.toggle("dropping", depth > 0);
  };
  zone.addEventListener("dragenter", over(1));
  zone.addEventListener("dragover", over(0));
  zone.addEventListener("dragleave", over(-1));
  zone.addEventListener("drop", async (event) => {
    event.preventDefault();
    depth = 0;
    zone.classList.remove("dropping");
    take(await dropped(event.dataTransfer));
  });
  for (const id of ["files", "folder"]) {
    $(id).addEventListener("change", () => {
      take([...$(id).files].map((file) => ({ file, name: file.webkitRelativePath || file.name })));
      $(id).value = "";
    });
  }
  $("choose-files").addEventListener("click", () => $("files").click());
  $("choose-folder").addEventListener("click", () => $("folder").click());
  $("filter").addEventListener("input", fill);
  on("image", mark);
  on("images", fill);
}

/** Everything that was dropped, folders with what is in them. */
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, name: file.name }));
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

async function walk(entry, found) {
  if (IGNORED.test(entry.fullPath)) return;
  if (entry.isFile) {
    const file = await new Promise((done, fail) => entry.file(done, fail));
    found.push({ file, name: entry.fullPath.replace(/^\//, "") });
    return;
  }
  const reader = entry.createReader(); // gives a hundred entries at a time
  for (;;) {
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) return;
    for (const one of some) await walk(one, found);
  }
}

/** Send files to the server, a few at a time; the first one that is an image is shown at once. */
export async function take(files) {
  const waiting = files.filter(({ name }) => !IGNORED.test(name));
  if (!waiting.length) return;
  const total = waiting.length;
  const refused = [];
  let [done, first] = [0, null];
  $("sending").hidden = false;
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      try {
        if (next.file.size > state.server.most_bytes) throw tooLarge(next.file);
        const query = `name=${encodeURIComponent(next.name)}`;
        const { images, refused: some } = await upload("POST", `page/images?${query}`, next.file);
        state.images.push(...images);
        refused.push(...some);
        if (!first && images.length) {
          first = images[0];
          show(first);
        }
        add(images);
      } catch (cause) {
        refused.push({ name: next.name, title: cause.told?.title || cause.message });
      }
      done++;
      $("sending").value = done / total;
      $("sending").setAttribute("aria-valuetext", t("drop.sent", { done, total }));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  $("sending").hidden = true;
  if (refused.length) {
    const named = refused.slice(0, 3).map(({ name, title }) => `${name}: ${title}`);
    say(t("drop.refused", { n: refused.length, total, some: named.join("; ") }), true);
  } else say(t("drop.done", { n: total }));
  tell("images");
}

function tooLarge(file) {
  const [size, most] = [file.size, state.server.most_bytes].map((bytes) => number(bytes / 2 ** 20));
  return new Error(t("drop.too_large", { size, most }));
}

/* The list. */

export async function load() {
  state.images = (await get("page/images")).images;
  tell("images");
}

function wanted(image) {
  const text = $("filter").value.trim().toLowerCase();
  return !text || `${image.name} ${image.split || ""}`.toLowerCase().includes(text);
}

function fill() {
  const shown = state.images.filter(wanted);
  $("images").replaceChildren(...shown.map(entry));
  $("count").textContent = t("list.count", { n: state.images.length });
  $("filter").parentElement.hidden = state.images.length < 8;
  mark();
}

function add(images) {
  $("images").append(...images.filter(wanted).map(entry));
  $("count").textContent = t("list.count", { n: state.images.length });
}

function entry(image) {
  const facts = [image.split, image.pages > 1 ? t("list.pages", { n: image.pages }) : null, image.corrected && "✓"];
  const thumbnail = make("img", {
    src: `page/images/${image.id}/thumbnail`, alt: "", loading: "lazy", width: 56, height: 56,
    error: () => thumbnail.classList.add("missing"),
  }); // prettier-ignore
  const label = make("span", { class: "name", text: image.name });
  const small = make("small", { text: facts.filter(Boolean).join(" · ") });
  const button = make("button", { type: "button", "data-image": image.id, title: image.name, click: () => show(image) });
  button.append(thumbnail, make("span", { class: "told" }, label, small));
  return make("li", {}, button);
}

function mark() {
  for (const button of $("images").querySelectorAll("button")) {
    const here = button.dataset.image === state.image?.id;
    button.setAttribute("aria-current", here ? "true" : "false");
    if (here) button.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

/** The image before or after the one that is looked at. */
export function step(by) {
  const shown = state.images.filter(wanted);
  const at = shown.findIndex((one) => one.id === state.image?.id);
  const next = shown[at + by];
  if (next) show(next);
}

/** Put what the server says now of an image in place of what it said before. */
export function update(image) {
  const at = state.images.findIndex((one) => one.id === image.id);
  if (at < 0) return;
  Object.assign(state.images[at], image);
  const old = $("images").querySelector(`[data-image="${image.id}"]`);
  old?.closest("li").replaceWith(entry(state.images[at]));
  mark();
}

export async function forget(id) {
  await send("DELETE", `page/images/${id}`, {}).catch(failed);
  state.images = state.images.filter((one) => one.id !== id);
  tell("images");
}
