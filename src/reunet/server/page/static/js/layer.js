/* What is known of one picture, as arrays: classes of pixels, objects, boxes, the class of all of it. */

export const UNLABELLED = 255;
const BRIGHT = [
  [230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [80, 150, 240], [235, 110, 40],
  [214, 120, 180], [150, 220, 120], [180, 150, 250], [250, 130, 130], [90, 220, 220], [200, 190, 100],
]; // prettier-ignore

export class Layer {
  /** told: facts of GET page/.../layers; arrays: classes, sure (0..255) and ids, each maybe missing. */
  constructor(told, arrays) {
    Object.assign(this, { classes: null, sure: null, ids: null, boxes: [], category: null }, told);
    this.classes = arrays.classes ? Uint8Array.from(arrays.classes) : null;
    this.sure = arrays.sure || null;
    this.ids = arrays.ids ? Int32Array.from(arrays.ids) : null;
    this.objects = new Map((told.objects || []).map((one) => [one.id, one]));
    this.canvas = null;
    this.top ??= 0;
    this.left ??= 0;
  }

  /** The class of each pixel under the threshold that is looked at. */
  classesAt(threshold) {
    if (!this.sure || threshold === null || !this.classes) return this.classes;
    const cut = threshold * 255;
    const found = new Uint8Array(this.classes.length);
    if (this.positive !== null && this.positive !== undefined) {
      const other = 1 - this.positive;
      for (let i = 0; i < found.length; i++) found[i] = this.sure[i] >= cut ? this.positive : other;
    } else {
      for (let i = 0; i < found.length; i++) found[i] = this.sure[i] >= cut ? this.classes[i] : UNLABELLED;
    }
    return found;
  }

  scoreOf(id) {
    return this.objects.get(id)?.score ?? 1;
  }

  /** Whether an object counts under a threshold; null for the one that was fitted. */
  counts(id, threshold) {
    return this.scoreOf(id) >= (threshold ?? this.threshold ?? 0);
  }

  classOf(id, only) {
    return this.objects.get(id)?.class ?? only;
  }

  /** The boxes that count under a threshold, with their numbers. */
  boxesAt(threshold) {
    const cut = (box) => threshold ?? this.thresholds?.[box.class] ?? 0;
    return this.boxes.map((box, number) => ({ ...box, number })).filter((box) => (box.score ?? 1) >= cut(box));
  }

  /** What lies at a point of the image: {id} of an object, {box} its number, {class} of the pixel. */
  at(x, y, look) {
    const found = {};
    const inside = this.boxesAt(look.threshold).filter(
      ({ box: [y0, x0, y1, x1], class: kind }) =>
        x >= x0 && x < x1 && y >= y0 && y < y1 && !look.hidden.has(kind),
    );
    if (inside.length) found.box = inside.reduce((a, b) => (area(a.box) <= area(b.box) ? a : b)).number;
    const column = Math.floor(x - this.left);
    const row = Math.floor(y - this.top);
    if (column < 0 || row < 0 || column >= this.width || row >= this.height) return found;
    const i = row * this.width + column;
    if (this.ids?.[i] && this.counts(this.ids[i], look.threshold)) found.id = this.ids[i];
    if (this.shown) found.class = this.shown[i];
    return found;
  }

  /** Bounding box of an object: [y0, x0, y1, x1] in the image; null where it has no pixel. */
  boundsOf(id) {
    const told = this.objects.get(id);
    if (told && told.box && !this.edited) return told.box;
    let [y0, x0, y1, x1] = [Infinity, Infinity, -1, -1];
    for (let i = this.ids.indexOf(id); i >= 0 && i < this.ids.length; i++) {
      if (this.ids[i] !== id) continue;
      const y = Math.floor(i / this.width);
      const x = i - y * this.width;
      y0 = Math.min(y0, y);
      y1 = Math.max(y1, y + 1);
      x0 = Math.min(x0, x);
      x1 = Math.max(x1, x + 1);
    }
    return y1 < 0 ? null : [y0 + this.top, x0 + this.left, y1 + this.top, x1 + this.left];
  }

  /** Paint into `canvas`, all of it or the rows and columns of `part` {x0, y0, x1, y1}. */
  paint(classes, look, part = null) {
    if (!this.classes && !this.ids) return;
    if (!this.canvas) {
      this.canvas = document.createElement("canvas");
      [this.canvas.width, this.canvas.height] = [this.width, this.height];
    }
    const all = { x0: 0, y0: 0, x1: this.width, y1: this.height };
    const { x0, y0, x1, y1 } = part ? grown(part, all) : all;
    if (x1 <= x0 || y1 <= y0) return;
    if (!part || !this.shown || this.shown === this.classes) this.shown = this.classesAt(look.threshold);
    const colors = this.ids ? this.objectColors(classes, look) : classColors(classes, look);
    const keys = this.ids || this.shown;
    const context = this.canvas.getContext("2d");
    const picture = context.createImageData(x1 - x0, y1 - y0);
    const pixels = new Uint32Array(picture.data.buffer);
    const fill = Math.round(look.opacity * 255) << 24;
    const line = look.outlines ? Math.min(255, Math.round(look.opacity * 255) + 130) << 24 : fill;
    const { width, height } = this;
    for (let y = y0, to = 0; y < y1; y++) {
      for (let x = x0; x < x1; x++, to++) {
        const i = y * width + x;
        const key = keys[i];
        const color = colors.get ? colors.get(key) : colors[key];
        if (!color) continue;
        const edge =
          (x > 0 && keys[i - 1] !== key) || (x < width - 1 && keys[i + 1] !== key) ||
          (y > 0 && keys[i - width] !== key) || (y < height - 1 && keys[i + width] !== key);
        pixels[to] = (color & 0xffffff) | (edge ? line : fill);
      }
    }
    context.putImageData(picture, x0, y0);
  }

  /** Colours by id: those of classes where there are several, else one for each object. */
  objectColors(classes, look) {
    const several = classes.filter((one) => one.foreground).length > 1;
    const only = classes.findIndex((one) => one.foreground);
    const table = [];
    const colorOf = (id) => {
      if (id in table) return table[id];
      const kind = this.classOf(id, only);
      const visible = id && !look.hidden.has(kind) && this.counts(id, look.threshold);
      return (table[id] = visible ? word(several ? classes[kind].color : BRIGHT[id % BRIGHT.length]) : 0);
    };
    return { get: colorOf };
  }
}

/** Colours by class index, 0 where nothing is drawn. */
function classColors(classes, look) {
  const table = new Uint32Array(256);
  classes.forEach((one, i) => {
    if (one.foreground && !look.hidden.has(i)) table[i] = word(one.color);
  });
  return table;
}

/** A colour as canvases store it on all of today's machines: little-endian. Never 0. */
function word([r, g, b]) {
  return (1 << 24) | (b << 16) | (g << 8) | r;
}

export function area([y0, x0, y1, x1]) {
  return (y1 - y0) * (x1 - x0);
}

function grown({ x0, y0, x1, y1 }, all) {
  return {
    x0: Math.max(all.x0, Math.floor(x0) - 1), y0: Math.max(all.y0, Math.floor(y0) - 1),
    x1: Math.min(all.x1, Math.ceil(x1) + 1), y1: Math.min(all.y1, Math.ceil(y1) + 1),
  };
}
