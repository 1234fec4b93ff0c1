/* The picture: OpenSeadragon moves and enlarges it, a canvas above it shows what was found. */

const OSD = window.OpenSeadragon;
const GAP = 1.02; // from the left edge of one panel to that of the next, in widths of the picture

export class Viewer {
  constructor(element) {
    this.osd = OSD({
      element, drawer: "canvas", showNavigationControl: false, maxZoomPixelRatio: 40, visibilityRatio: 0.4,
      animationTime: 0.25, minZoomImageRatio: 0.6, placeholderFillStyle: null, loadTilesWithAjax: false,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
      gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: false },
      imageSmoothingEnabled: true, smoothTileEdgesMinZoom: Infinity, timeout: 120000,
    }); // prettier-ignore
    this.canvas = document.createElement("canvas");
    this.canvas.className = "found";
    this.osd.canvas.append(this.canvas);
    this.panels = []; // what is drawn over each picture: {layers, marks}
    this.pen = null; // whoever takes the pointer: press, drag, release, click, double; true keeps it
    this.size = null;
    for (const event of ["update-viewport", "resize"]) this.osd.addHandler(event, () => this.draw());
    this.osd.addHandler("canvas-key", (event) => this.key(event));
    this.listen();
  }

  /** Show a picture, `count` times side by side. source: {width, height} and `url`, or `tile(level, x, y)`
      with `tileSize` and `levels`. keep: stay where one is looking. Resolves when it is there. */
  open(source, count = 1, keep = false) {
    const bounds = keep && this.size ? this.osd.viewport.getBounds(true) : null;
    this.size = [source.height, source.width];
    const tiles = source.tile
      ? { width: source.width, height: source.height, tileSize: source.tileSize, maxLevel: source.levels - 1,
          minLevel: 0, getTileUrl: source.tile }
      : { type: "image", url: source.url, buildPyramid: false, width: source.width, height: source.height }; // prettier-ignore
    const panels = Array.from({ length: count }, (_, i) => ({ tileSource: tiles, x: i * GAP, width: 1 }));
    return new Promise((done, fail) => {
      this.osd.addOnceHandler("open-failed", fail);
      this.osd.addOnceHandler("open", () => {
        this.osd.removeAllHandlers("open-failed");
        if (bounds) this.osd.viewport.fitBounds(bounds, true);
        done();
      });
      this.osd.open(panels);
    });
  }

  close() {
    this.osd.close();
    [this.size, this.panels] = [null, []];
    this.draw();
  }

  /** Where panel number `i` lies on the screen: its left and top edge, and pixels of the screen per pixel. */
  place(i) {
    const item = this.osd.world.getItemAt(i);
    if (!item || !this.size) return null;
    const [height, width] = this.size;
    const first = item.imageToViewerElementCoordinates(new OSD.Point(0, 0));
    const last = item.imageToViewerElementCoordinates(new OSD.Point(width, height));
    return { left: first.x, top: first.y, scale: (last.x - first.x) / width };
  }

  draw() {
    const box = this.osd.canvas;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [box.clientWidth * ratio, box.clientHeight * ratio].map(Math.round);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      [this.canvas.width, this.canvas.height] = [width, height];
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    this.panels.forEach((panel, i) => {
      const place = this.place(i);
      if (!place) return;
      context.imageSmoothingEnabled = place.scale < 1;
      for (const layer of panel.layers) {
        if (!layer.canvas) continue;
        context.drawImage(
          layer.canvas, place.left + layer.left * place.scale, place.top + layer.top * place.scale,
          layer.width * place.scale, layer.height * place.scale,
        ); // prettier-ignore
      }
      for (const mark of panel.marks || []) mark(context, place);
    });
  }

  /** The point of the picture under a point of the screen: {x, y, panel}; null beside it. */
  under(position) {
    for (let i = 0; i < this.panels.length; i++) {
      const place = this.place(i);
      if (!place) continue;
      const [x, y] = [(position.x - place.left) / place.scale, (position.y - place.top) / place.scale];
      if (x >= 0 && y >= 0 && x < this.size[1] && y < this.size[0]) return { x, y, panel: i, scale: place.scale };
    }
    return null;
  }

  /** As `under`, but beside the picture the point of the first panel that lies there. */
  near(position) {
    const place = this.place(0);
    const found = this.under(position);
    if (found || !place) return found;
    const [x, y] = [(position.x - place.left) / place.scale, (position.y - place.top) / place.scale];
    return { x, y, panel: 0, scale: place.scale };
  }

  listen() {
    const send = (kind) => (event) => {
      if (!this.pen || !this.size) return;
      const point = this.near(event.position);
      if (this.pen(kind, point, event.originalEvent)) event.preventDefaultAction = true;
    };
    const kinds = { press: "press", drag: "drag", "drag-end": "end", release: "release", click: "click" };
    for (const [name, kind] of Object.entries(kinds)) this.osd.addHandler(`canvas-${name}`, send(kind));
    this.osd.addHandler("canvas-double-click", send("double"));
    const hover = (event) => {
      const box = this.osd.canvas.getBoundingClientRect();
      const position = new OSD.Point(event.clientX - box.left, event.clientY - box.top);
      if (this.onHover) this.onHover(event.type === "pointerleave" ? null : this.under(position), position);
    };
    this.osd.canvas.addEventListener("pointermove", hover);
    this.osd.canvas.addEventListener("pointerleave", hover);
  }

  /** Arrows move, + and - enlarge, 0 shows all; other keys are the page's. */
  key(event) {
    const key = event.originalEvent.key;
    const known = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "+", "-", "=", "0"];
    if (!known.includes(key) || event.originalEvent.ctrlKey) event.preventDefaultAction = true;
  }

  zoom(factor) {
    this.osd.viewport.zoomBy(factor);
    this.osd.viewport.applyConstraints();
  }

  fit() {
    this.osd.viewport.goHome();
  }

  /** Bring a box [y0, x0, y1, x1] into the middle, and near if it is small. */
  showBox([y0, x0, y1, x1], panel = 0) {
    const item = this.osd.world.getItemAt(panel);
    if (!item) return;
    const side = Math.max(y1 - y0, x1 - x0, 24) * 3;
    const [cy, cx] = [(y0 + y1) / 2, (x0 + x1) / 2];
    const wanted = item.imageToViewportRectangle(cx - side / 2, cy - side / 2, side, side);
    const now = this.osd.viewport.getBounds(true);
    const isSeen = now.containsPoint(wanted.getCenter()) && now.width < wanted.width * 4;
    if (isSeen) return;
    this.osd.viewport.fitBounds(wanted);
  }

  /** What is seen of panel 0: [y0, x0, y1, x1] in pixels of the picture. */
  seen() {
    const item = this.osd.world.getItemAt(0);
    const rect = item.viewportToImageRectangle(this.osd.viewport.getBounds(true));
    const [height, width] = this.size;
    return [
      Math.max(0, Math.floor(rect.y)), Math.max(0, Math.floor(rect.x)),
      Math.min(height, Math.ceil(rect.y + rect.height)), Math.min(width, Math.ceil(rect.x + rect.width)),
    ]; // prettier-ignore
  }
}

/* Marks are drawn at the resolution of the screen. */

/** The outline of an object, along the edges of its pixels. */
export function outlineMark(layer, id, color = "#ffffff") {
  const bounds = layer.boundsOf(id);
  if (!bounds) return () => {};
  const lines = borders(layer, id, bounds);
  return (context, { left, top, scale }) => {
    context.beginPath();
    for (const [x0, y0, x1, y1] of lines) {
      context.moveTo(left + x0 * scale, top + y0 * scale);
      context.lineTo(left + x1 * scale, top + y1 * scale);
    }
    stroked(context, color);
  };
}

function borders(layer, id, [y0, x0, y1, x1]) {
  const { ids, width, height, left, top } = layer;
  const is = (x, y) => x >= 0 && y >= 0 && x < width && y < height && ids[y * width + x] === id;
  const lines = [];
  for (let y = y0 - top; y < y1 - top; y++) {
    for (let x = x0 - left; x < x1 - left; x++) {
      if (!is(x, y)) continue;
      const [a, b] = [x + left, y + top];
      if (!is(x, y - 1)) lines.push([a, b, a + 1, b]);
      if (!is(x, y + 1)) lines.push([a, b + 1, a + 1, b + 1]);
      if (!is(x - 1, y)) lines.push([a, b, a, b + 1]);
      if (!is(x + 1, y)) lines.push([a + 1, b, a + 1, b + 1]);
    }
  }
  return lines;
}

/** A box with its colour; `handles` at its corners when it can be moved. */
export function boxMark([y0, x0, y1, x1], color, { strong = false, dashed = false, handles = false } = {}) {
  return (context, { left, top, scale }) => {
    const [x, y, w, h] = [left + x0 * scale, top + y0 * scale, (x1 - x0) * scale, (y1 - y0) * scale];
    context.setLineDash(dashed ? [6, 4] : []);
    context.beginPath();
    context.rect(x, y, w, h);
    stroked(context, color, strong ? 3 : 2);
    context.setLineDash([]);
    if (!handles) return;
    for (const [a, b] of [[x, y], [x + w, y], [x, y + h], [x + w, y + h]]) {
      context.fillStyle = "#ffffff";
      context.fillRect(a - 4, b - 4, 8, 8);
      context.strokeStyle = "#000000";
      context.strokeRect(a - 4, b - 4, 8, 8);
    } // prettier-ignore
  };
}

/** A line through points [x, y] of the picture. */
export function pathMark(points, { closed = false, color = "#ffffff" } = {}) {
  return (context, { left, top, scale }) => {
    context.beginPath();
    points.forEach(([x, y], i) => {
      context[i ? "lineTo" : "moveTo"](left + x * scale, top + y * scale);
    });
    if (closed) context.closePath();
    stroked(context, color);
  };
}

export function circleMark(x, y, radius) {
  return (context, { left, top, scale }) => {
    context.beginPath();
    context.arc(left + x * scale, top + y * scale, Math.max(radius * scale, 1), 0, 2 * Math.PI);
    stroked(context, "#ffffff", 1);
  };
}

/** A line that is seen on bright and dark ground. */
function stroked(context, color, width = 2) {
  context.lineJoin = "round";
  context.strokeStyle = "rgba(0, 0, 0, 0.7)";
  context.lineWidth = width + 2;
  context.stroke();
  context.strokeStyle = color;
  context.lineWidth = width;
  context.stroke();
}
