/* The tools of the tab "Correct": what the pointer does to a draft. Each is {press, drag, release, ...} and gets
   the tab's `work`: the draft, the class and the size of the brush, and what is selected. */

import { connected, cut, polygon, stroke } from "./shapes.js";
import { boxMark, circleMark, pathMark } from "./viewer.js";

const placeOf = (draft, { x, y }) => {
  const [column, row] = [Math.floor(x - draft.layer.left), Math.floor(y - draft.layer.top)];
  const inside = column >= 0 && row >= 0 && column < draft.size.width && row < draft.size.height;
  return inside ? row * draft.size.width + column : null;
};
const local = (draft, { x, y }) => ({ x: x - draft.layer.left, y: y - draft.layer.top });

/** The object under a point, 0 for none. */
export function under(work, point) {
  const i = placeOf(work.draft, point);
  return i === null ? 0 : work.draft.values[i];
}

/** A function that paints a pixel: with the class, or the selected object, which is new where there is none. */
function painter(work) {
  const { draft } = work;
  if (draft.kind === "masks") return (i) => draft.put(i, work.kind);
  if (!work.selected) {
    work.selected = draft.newId();
    draft.layer.objects.set(work.selected, { id: work.selected, class: work.kind });
  }
  const id = work.selected;
  return (i) => {
    if (!work.protect || draft.values[i] === 0 || draft.values[i] === id) draft.put(i, id);
  };
}

function eraser(work) {
  const { draft } = work;
  if (draft.kind === "masks") return (i) => draft.put(i, work.background);
  return (i) => {
    if (!work.protect || !work.selected || draft.values[i] === work.selected) draft.put(i, 0);
  };
}

/** Paints along the way of the pointer. */
function along(paintOf) {
  let last = null;
  let paint = null;
  return {
    press(work, point) {
      work.draft.begin();
      paint = paintOf(work);
      last = local(work.draft, point);
      stroke(work.draft.size, last, last, work.size / 2, paint);
      return true;
    },
    drag(work, point) {
      if (!last) return true;
      const next = local(work.draft, point);
      stroke(work.draft.size, last, next, work.size / 2, paint);
      last = next;
      return true;
    },
    release(work) {
      last = null;
      work.draft.end();
      return true;
    },
    marks: (work) => (work.pointer ? [circleMark(work.pointer.x, work.pointer.y, work.size / 2)] : []),
  };
}

const brush = along(painter);
const erase = along(eraser);

/** Points by clicks or along a drag; Enter, a double click or the first point closes it. */
const outline = {
  points: [],
  press(work, point) {
    const [first] = this.points;
    const isClosed = first && Math.hypot(first[0] - point.x, first[1] - point.y) * point.scale < 9;
    if (isClosed && this.points.length > 2) return this.close(work);
    this.points.push([point.x, point.y]);
    return true;
  },
  drag(work, point) {
    const last = this.points.at(-1);
    if (last && Math.hypot(last[0] - point.x, last[1] - point.y) * point.scale > 4) this.points.push([point.x, point.y]);
    return true;
  },
  release: (work) => true, // eslint-disable-line no-unused-vars
  double(work) {
    return this.close(work);
  },
  close(work) {
    if (this.points.length > 2) {
      const { draft } = work;
      draft.begin();
      if (draft.kind === "instances") work.selected = null; // an outline is an object of its own
      const points = this.points.map(([x, y]) => [x - draft.layer.left, y - draft.layer.top]);
      polygon(draft.size, points, painter(work));
      draft.end();
    }
    this.points = [];
    return true;
  },
  cancel() {
    this.points = [];
  },
  marks(work) {
    const way = work.pointer ? [...this.points, [work.pointer.x, work.pointer.y]] : this.points;
    return this.points.length ? [pathMark(way, { closed: this.points.length > 1 })] : [];
  },
};

/** The region under the pointer: what hangs together with it and is the same. */
const fill = {
  press(work, point) {
    const { draft } = work;
    const start = placeOf(draft, point);
    if (start === null) return true;
    draft.begin();
    const region = connected(draft.size, draft.values, start);
    region.forEach(painter(work));
    draft.end();
    return true;
  },
  drag: () => true,
};

/** A line through an object, which becomes two. */
const split = {
  from: null,
  to: null,
  press(work, point) {
    [this.from, this.to] = [point, point];
    return true;
  },
  drag(work, point) {
    this.to = point;
    return true;
  },
  release(work) {
    const { draft } = work;
    const [from, to] = [local(draft, this.from), local(draft, this.to)];
    const crossed = new Set();
    stroke(draft.size, from, to, 0.75, (i) => draft.values[i] && crossed.add(draft.values[i]));
    draft.begin();
    for (const id of crossed) {
      const kind = draft.layer.objects.get(id)?.class;
      for (const part of cut(draft.size, draft.values, id, from, to)) {
        const fresh = draft.newId();
        draft.layer.objects.set(fresh, { id: fresh, class: kind });
        for (const i of part) draft.put(i, fresh);
        work.selected = fresh;
      }
    }
    if (!draft.end()) work.hint("correct.no_cut");
    this.from = null;
    return true;
  },
  marks() {
    return this.from ? [pathMark([[this.from.x, this.from.y], [this.to.x, this.to.y]])] : []; // prettier-ignore
  },
};

/** The selected object takes in the one that is clicked. */
const merge = {
  press(work, point) {
    const id = under(work, point);
    if (!id) return true;
    if (!work.selected || work.selected === id) {
      work.selected = id;
      work.hint("correct.merge_next");
      return true;
    }
    const { draft } = work;
    draft.begin();
    draft.values.forEach((value, i) => value === id && draft.put(i, work.selected));
    draft.end();
    return true;
  },
  drag: () => true,
};

const choose = {
  press(work, point) {
    work.selected = under(work, point) || null;
    work.took();
    return false; // the picture may be moved
  },
};

/* Boxes: drag on free ground for a new one, inside to move, at a corner to change its size. */

const box = {
  held: null,
  press(work, point) {
    const { boxes } = work.draft.layer;
    const reach = 9 / point.scale;
    work.draft.begin();
    const corner = work.selected !== null && cornerAt(boxes[work.selected]?.box, point, reach);
    const inside = boxes.findLastIndex(({ box: b }) => point.y >= b[0] && point.x >= b[1] && point.y < b[2] && point.x < b[3]);
    if (corner) this.held = { fixed: corner };
    else if (inside >= 0) {
      work.selected = inside;
      this.held = { from: point, start: [...boxes[inside].box] };
    } else {
      boxes.push({ box: [point.y, point.x, point.y, point.x], class: work.kind });
      work.selected = boxes.length - 1;
      this.held = { fixed: [point.y, point.x] };
    }
    work.took();
    return true;
  },
  drag(work, point) {
    const { layer } = work.draft;
    const { held } = this;
    if (!held) return true;
    const [height, width] = [layer.height + layer.top, layer.width + layer.left];
    const [y, x] = [Math.max(0, Math.min(height, point.y)), Math.max(0, Math.min(width, point.x))];
    let next;
    if (held.fixed) {
      const [fy, fx] = held.fixed;
      next = [Math.min(fy, y), Math.min(fx, x), Math.max(fy, y), Math.max(fx, x)];
    } else {
      const [y0, x0, y1, x1] = held.start;
      const dy = Math.max(-y0, Math.min(height - y1, point.y - held.from.y));
      const dx = Math.max(-x0, Math.min(width - x1, point.x - held.from.x));
      next = [y0 + dy, x0 + dx, y1 + dy, x1 + dx];
    }
    layer.boxes[work.selected] = { ...layer.boxes[work.selected], box: next };
    return true;
  },
  release(work) {
    const { boxes } = work.draft.layer;
    const [y0, x0, y1, x1] = boxes[work.selected]?.box || [0, 0, 9, 9];
    if (y1 - y0 < 1 || x1 - x0 < 1) {
      boxes.splice(work.selected, 1); // a click on free ground
      work.selected = null;
    }
    this.held = null;
    work.draft.end();
    work.took();
    return true;
  },
};

function cornerAt(corners, { x, y }, reach) {
  if (!corners) return null;
  const [y0, x0, y1, x1] = corners;
  const opposite = [[y0, x0, y1, x1], [y0, x1, y1, x0], [y1, x0, y0, x1], [y1, x1, y0, x0]]; // prettier-ignore
  const found = opposite.find(([cy, cx]) => Math.abs(cy - y) <= reach && Math.abs(cx - x) <= reach);
  return found ? [found[2], found[3]] : null;
}

/** Boxes of a draft as they are drawn. */
export function boxMarks(work, classes) {
  return work.draft.layer.boxes.map((one, i) => {
    const color = `rgb(${classes[one.class].color.join()})`;
    return boxMark(one.box, color, { strong: i === work.selected, handles: i === work.selected });
  });
}

/** Tools by the kind of labels, with the key that takes each. */
export const TOOLS = {
  masks: { brush: [brush, "b"], eraser: [erase, "e"], polygon: [outline, "p"], fill: [fill, "f"] },
  instances: {
    select: [choose, "v"], brush: [brush, "b"], eraser: [erase, "e"], polygon: [outline, "p"],
    fill: [fill, "f"], split: [split, "s"], merge: [merge, "m"],
  },
  boxes: { box: [box, "x"] },
  category: {},
}; // prettier-ignore
