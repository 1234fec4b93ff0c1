/* A curve with its axes as SVG, readable in both colour schemes. */

import { number } from "./texts.js";

const NS = "http://www.w3.org/2000/svg";
const [W, H, LEFT, BOTTOM, TOP] = [320, 150, 42, 24, 10];

/** points: [x, y], x growing. name: what y is, for those who do not see it; unit: of x. */
export function chart(points, { name, unit }) {
  const svg = element("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": described(points, name) });
  if (!points.length) return svg;
  const [lastX, ys] = [Math.max(points.at(-1)[0], 1e-9), points.map(([, y]) => y)];
  let [low, high] = [Math.min(...ys), Math.max(...ys)];
  if (high - low < 1e-9) [low, high] = [low - 0.5 * Math.abs(low || 1), high + 0.5 * Math.abs(high || 1)];
  const px = (x) => LEFT + (x / lastX) * (W - LEFT - 10);
  const py = (y) => TOP + ((high - y) / (high - low)) * (H - TOP - BOTTOM);
  for (const y of [low, (low + high) / 2, high]) {
    svg.append(element("line", { x1: LEFT, x2: W - 10, y1: py(y), y2: py(y), class: "grid" }));
    svg.append(element("text", { x: LEFT - 6, y: py(y) + 4, "text-anchor": "end" }, number(y, 3)));
  }
  for (const share of [0, 0.5, 1]) {
    const anchor = share === 1 ? "end" : share === 0 ? "start" : "middle";
    svg.append(element("text", { x: px(share * lastX), y: H - 6, "text-anchor": anchor }, `${number(share * lastX, lastX < 10 ? 1 : 0)} ${unit}`));
  }
  const way = points.map(([x, y], i) => `${i ? "L" : "M"}${px(x).toFixed(1)} ${py(y).toFixed(1)}`).join("");
  svg.append(element("path", { d: way, class: "curve" }));
  const [x, y] = points.at(-1);
  svg.append(element("circle", { cx: px(x), cy: py(y), r: 3.5, class: "last" }));
  return svg;
}

function described(points, name) {
  return points.length ? `${name}: ${number(points[0][1], 3)} → ${number(points.at(-1)[1], 3)}` : name;
}

function element(tag, facts, text) {
  const one = document.createElementNS(NS, tag);
  for (const [key, value] of Object.entries(facts)) one.setAttribute(key, value);
  if (text !== undefined) one.textContent = text;
  return one;
}
