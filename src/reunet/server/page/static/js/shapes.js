/* Shapes in a picture of whole numbers: what brush, polygon and the others change. Each calls `set(i)` for the
   pixels it covers, by their place in the array, and knows nothing of what is done there. */

/** A disc along the way from one point to another. */
export function stroke(size, from, to, radius, set) {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = dx * dx + dy * dy;
  const [x0, x1] = [Math.min(from.x, to.x) - radius, Math.max(from.x, to.x) + radius];
  const [y0, y1] = [Math.min(from.y, to.y) - radius, Math.max(from.y, to.y) + radius];
  const reach = Math.max(radius, 0.5) ** 2;
  for (let y = Math.max(0, Math.floor(y0)); y < Math.min(size.height, Math.ceil(y1 + 1)); y++) {
    for (let x = Math.max(0, Math.floor(x0)); x < Math.min(size.width, Math.ceil(x1 + 1)); x++) {
      const [px, py] = [x + 0.5 - from.x, y + 0.5 - from.y];
      const share = length ? Math.max(0, Math.min(1, (px * dx + py * dy) / length)) : 0;
      if ((px - share * dx) ** 2 + (py - share * dy) ** 2 <= reach) set(y * size.width + x);
    }
  }
}

/** Pixels whose centres are inside a polygon of points [x, y], by the even-odd rule. */
export function polygon(size, points, set) {
  const ys = points.map(([, y]) => y);
  const first = Math.max(0, Math.floor(Math.min(...ys)));
  const last = Math.min(size.height - 1, Math.ceil(Math.max(...ys)));
  for (let row = first; row <= last; row++) {
    const y = row + 0.5;
    const crossings = [];
    points.forEach(([x1, y1], i) => {
      const [x0, y0] = points[(i + points.length - 1) % points.length];
      if (y0 <= y !== y1 <= y) crossings.push(x0 + ((y - y0) / (y1 - y0)) * (x1 - x0));
    });
    crossings.sort((a, b) => a - b);
    for (let k = 0; k + 1 < crossings.length; k += 2) {
      const from = Math.max(0, Math.ceil(crossings[k] - 0.5));
      const to = Math.min(size.width - 1, Math.ceil(crossings[k + 1] - 0.5) - 1);
      for (let x = from; x <= to; x++) set(row * size.width + x);
    }
  }
}

/** The pixels that hang together with one of the same value (4 neighbours), by their places. */
export function connected(size, values, start) {
  const { width, height } = size;
  const value = values[start];
  const seen = new Uint8Array(values.length);
  const found = [start];
  seen[start] = 1;
  for (let k = 0; k < found.length; k++) {
    const i = found[k];
    const x = i % width;
    const near = [x > 0 && i - 1, x < width - 1 && i + 1, i >= width && i - width, i < width * (height - 1) && i + width];
    for (const j of near) {
      if (j === false || seen[j] || values[j] !== value) continue;
      seen[j] = 1;
      found.push(j);
    }
  }
  return found;
}

/** The connected parts of one value, largest first, each a list of places. */
export function parts(size, values, value) {
  const seen = new Set();
  const found = [];
  for (let i = values.indexOf(value); i >= 0; i = values.indexOf(value, i + 1)) {
    if (seen.has(i)) continue;
    const part = connected(size, values, i);
    for (const j of part) seen.add(j);
    found.push(part);
  }
  return found.sort((a, b) => b.length - a.length);
}

/** The two parts of an object on both sides of a line: what is left of it when pixels along the line are taken
    out, each of which then goes to the part next to it. Returns the places of the smaller parts; none where the
    line does not cut it. */
export function cut(size, values, value, from, to) {
  const rest = Int32Array.from(values, (one) => (one === value ? 1 : 0));
  const removed = [];
  stroke(size, from, to, 0.75, (i) => {
    if (rest[i]) {
      rest[i] = 0;
      removed.push(i);
    }
  });
  const [largest, ...others] = parts(size, rest, 1);
  if (!others.length) return [];
  const owner = new Map();
  [largest, ...others].forEach((part, number) => part.forEach((i) => owner.set(i, number)));
  let open = removed;
  while (open.length) {
    const near = open.map((i) => [i - 1, i + 1, i - size.width, i + size.width].find((j) => owner.has(j)));
    const left = open.filter((_, k) => near[k] === undefined);
    const owners = near.map((j) => owner.get(j));
    open.forEach((i, k) => near[k] !== undefined && owner.set(i, owners[k]));
    if (left.length === open.length) break;
    open = left;
  }
  const split = others.map(() => []);
  for (const [i, number] of owner) if (number > 0) split[number - 1].push(i);
  return split;
}
