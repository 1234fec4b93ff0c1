/* Labels while they are edited, with what can be undone. */

import { Layer } from "./layer.js";

const MOST_UNDONE = 100;

export class Draft {
  /** told, arrays: of GET page/images/.../edit. kind: masks, instances, boxes or category. */
  constructor(told, arrays, kind) {
    this.layer = new Layer(told, arrays);
    this.layer.edited = true;
    this.told = told;
    this.kind = kind;
    this.size = { width: this.layer.width, height: this.layer.height };
    this.nextId = told.next_id || 1;
    this.done = [];
    this.undone = [];
    this.touched = new Set(); // kinds that differ from what was loaded
    this.dirty = null; // part to be painted again
    this.open = null;
  }

  get values() {
    return this.kind === "instances" ? this.layer.ids : this.layer.classes;
  }

  get changed() {
    return this.touched.size > 0;
  }

  /** What is no pixel, as it is now. */
  rest() {
    const { objects, boxes, category } = this.layer;
    return { objects: new Map(objects), boxes: boxes.map((box) => ({ ...box })), category };
  }

  /** A change begins: what is put until `end` is undone at once. */
  begin() {
    this.open ??= { before: new Map(), rest: this.rest() };
  }

  put(i, value) {
    const { values, open, size } = this;
    if (values[i] === value) return;
    if (!open.before.has(i)) open.before.set(i, values[i]);
    values[i] = value;
    this.soil(i % size.width, Math.floor(i / size.width));
  }

  soil(x, y) {
    const part = (this.dirty ??= { x0: x, y0: y, x1: x + 1, y1: y + 1 });
    part.x0 = Math.min(part.x0, x);
    part.y0 = Math.min(part.y0, y);
    part.x1 = Math.max(part.x1, x + 1);
    part.y1 = Math.max(part.y1, y + 1);
  }

  end() {
    const { open, values } = this;
    this.open = null;
    if (!open) return false;
    const places = Int32Array.from([...open.before.keys()].filter((i) => values[i] !== open.before.get(i)));
    const before = Int32Array.from(places, (i) => open.before.get(i));
    const after = Int32Array.from(places, (i) => values[i]);
    if (this.kind === "instances") this.tidy(before, after);
    const now = this.rest();
    if (!places.length && same(open.rest, now)) return false;
    this.done.push({ kind: this.kind, places, before, after, was: open.rest, is: now });
    if (this.done.length > MOST_UNDONE) this.done.shift();
    this.undone = [];
    this.touched.add(this.kind);
    return true;
  }

  /** Objects without pixels go, their facts with them; those that were drawn are known. */
  tidy(before, after) {
    const { ids, objects } = this.layer;
    for (const id of new Set(after)) if (id && !objects.has(id)) objects.set(id, { id });
    for (const id of new Set(before)) if (id && !ids.includes(id)) objects.delete(id);
    for (const id of new Set([...before, ...after])) {
      if (objects.has(id)) objects.set(id, { id, class: objects.get(id).class });
    }
  }

  undo() {
    return this.go(this.done, this.undone, "before", "was");
  }

  redo() {
    return this.go(this.undone, this.done, "after", "is");
  }

  go(from, to, pixels, rest) {
    const step = from.pop();
    if (!step) return false;
    const values = step.kind === "instances" ? this.layer.ids : this.layer.classes;
    step.places.forEach((i, k) => {
      values[i] = step[pixels][k];
      this.soil(i % this.size.width, Math.floor(i / this.size.width));
    });
    Object.assign(this.layer, { ...step[rest], objects: new Map(step[rest].objects) });
    this.touched.add(step.kind);
    if (step.places.length === 0) this.dirty = { x0: 0, y0: 0, x1: this.size.width, y1: this.size.height };
    to.push(step);
    return true;
  }

  newId() {
    const highest = Math.max(this.nextId - 1, ...this.layer.objects.keys());
    this.nextId = highest + 2;
    return highest + 1;
  }

  /** What goes back to the server: facts, and the arrays that were edited. */
  result() {
    const { layer, touched, told } = this;
    const objects = [...layer.objects.values()].map(({ id, class: kind }) => ({ id, class: kind ?? null }));
    return {
      told: {
        version: told.version, height: layer.height, width: layer.width, kinds: [...touched],
        objects: touched.has("instances") ? objects : null,
        boxes: touched.has("boxes") ? layer.boxes.map(({ box, class: kind }) => ({ box, class: kind })) : null,
        category: touched.has("category") ? layer.category.index : null,
      },
      arrays: {
        classes: touched.has("masks") ? layer.classes : null,
        ids: touched.has("instances") ? layer.ids : null,
      },
    }; // prettier-ignore
  }
}

function same(a, b) {
  return JSON.stringify([[...a.objects], a.boxes, a.category]) === JSON.stringify([[...b.objects], b.boxes, b.category]);
}
