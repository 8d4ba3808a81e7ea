// Images to scroll through. The page shows its first frame by itself; this fetches the others,
// those that will be wanted next before they are, and draws them without flicker.

// Decoded frames that are kept for each pane, in bytes of the browser's memory.
const KEPT_BYTES_MAX = 320 * 1024 * 1024;
const AT_ONCE_MAX = 4;
// How far ahead in the direction of scrolling, and how far behind.
const AHEAD = 12;
const BEHIND = 3;
// How far a wheel or a trackpad turns for one frame, in CSS pixels.
const WHEEL_STEP = 36;

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// Fetches frames: the newest wish first, a few at a time.
class Frames {
  constructor(path, frameBytes, arrived, failed) {
    Object.assign(this, { path, arrived, failed, query: "" });
    this.countMax = Math.max(8, Math.floor(KEPT_BYTES_MAX / frameBytes));
    this.kept = new Map();
    this.running = new Map();
    this.wanted = [];
  }

  // Another window: nothing that is there is right any more.
  setQuery(query) {
    if (query === this.query) return;
    this.query = query;
    for (const running of this.running.values()) running.abort();
    this.running.clear();
    this.kept.clear();
  }

  get(number) {
    const found = this.kept.get(number);
    if (!found) return undefined;
    this.kept.delete(number);
    this.kept.set(number, found);
    return found;
  }

  want(numbers) {
    this.wanted = numbers.filter((number) => !this.kept.has(number));
    this.fetchNext();
  }

  fetchNext() {
    while (this.running.size < AT_ONCE_MAX) {
      const number = this.wanted.find((it) => !this.running.has(it));
      if (number === undefined) return;
      this.wanted = this.wanted.filter((it) => it !== number);
      this.fetch(number);
    }
  }

  async fetch(number) {
    const abort = new AbortController();
    this.running.set(number, abort);
    try {
      const headers = { "x-chiasm-fetch": "1" };
      const response = await fetch(`${this.path}${number}${this.query}`, { headers, signal: abort.signal });
      if (response.status === 401) return location.reload();
      if (!response.ok) {
        const fault = await response.json().catch(() => ({}));
        throw new Error(fault.message ?? "The frame could not be fetched.");
      }
      const picture = await createImageBitmap(await response.blob());
      if (abort.signal.aborted) return;
      this.kept.set(number, picture);
      if (this.kept.size > this.countMax) {
        const [oldest, gone] = this.kept.entries().next().value;
        this.kept.delete(oldest);
        gone.close();
      }
      this.arrived(number);
    } catch (error) {
      if (!abort.signal.aborted) this.failed(number, error.message);
    } finally {
      if (this.running.get(number) === abort) this.running.delete(number);
      this.fetchNext();
    }
  }
}

class Pane {
  constructor(element) {
    this.element = element;
    const { frames, frame, path, query, columns, rows, wide, high } = element.dataset;
    this.count = Number(frames);
    this.number = Number(frame);
    this.direction = 1;
    this.find = (name) => element.querySelector(`[data-${name}]`);
    this.stage = this.find("stage");
    this.slider = this.find("slider");
    this.center = this.find("center");
    this.width = this.find("width");
    this.moved = () => {};
    this.canvas = Object.assign(document.createElement("canvas"), { className: "view-picture" });
    this.canvas.width = Number(columns);
    this.canvas.height = Number(rows);
    // Pixels are seldom square: the canvas has the pixels, its box the shape.
    this.canvas.style.aspectRatio = `${wide} / ${high}`;
    this.canvas.style.width = `min(100%, calc(72vh * ${Number(wide) / Number(high)}))`;
    this.canvas.setAttribute("role", "img");
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.lines = this.find("map")?.dataset.lines.split("|") ?? [];
    const frameBytes = this.canvas.width * this.canvas.height * 4;
    const failed = (number, message) => { if (number === this.number) this.say(message); };
    this.frames = new Frames(path, frameBytes, (number) => { if (number === this.number) this.draw(); }, failed);
    this.frames.setQuery(query);
    this.listen();
    this.show(this.number);
  }

  say(message) {
    this.find("status").textContent = message;
  }

  // Frame `number`, from 1; outside of the stack the nearest.
  show(number) {
    const next = clamp(Math.round(number), 1, this.count);
    if (next !== this.number) this.direction = Math.sign(next - this.number);
    this.number = next;
    const words = `${next} of ${this.count}`;
    if (this.slider) {
      this.slider.value = String(next);
      this.slider.setAttribute("aria-valuetext", words);
      this.find("number").textContent = String(next);
      this.find("counter").textContent = `${next} / ${this.count}`;
    }
    for (const line of this.element.querySelectorAll("[data-line]")) line.setAttribute("points", this.lines[next - 1] ?? "");
    this.draw();
    this.frames.want(this.wishes());
  }

  wishes() {
    const ahead = Array.from({ length: AHEAD }, (_, step) => this.number + this.direction * (step + 1));
    const behind = Array.from({ length: BEHIND }, (_, step) => this.number - this.direction * (step + 1));
    return [this.number, ...ahead, ...behind].filter((it) => it >= 1 && it <= this.count);
  }

  draw() {
    const picture = this.frames.get(this.number);
    this.stage.setAttribute("aria-busy", String(!picture));
    if (!picture) return;
    this.context.drawImage(picture, 0, 0, this.canvas.width, this.canvas.height);
    this.canvas.setAttribute("aria-label", `frame ${this.number} of ${this.count}`);
    this.element.dataset.shown = String(this.number);
    this.element.dataset.shownQuery = this.frames.query;
    this.stage.querySelector("svg")?.replaceWith(this.canvas);
    this.say("");
  }

  move(by) {
    this.goTo(this.number + by);
  }

  // As a person moves it, which may take the other pane along.
  goTo(number) {
    this.show(number);
    this.moved(this);
  }

  // The window in the inputs, which is the same for all frames.
  applyWindow() {
    if (!this.center?.value || !(Number(this.width.value) >= 1)) return;
    const isFirst = this.center.value === this.center.dataset.first && this.width.value === this.width.dataset.first;
    const asked = new URLSearchParams({ center: this.center.value, width: this.width.value });
    this.frames.setQuery(isFirst ? "" : `?${asked}`);
    this.find("reset").disabled = isFirst;
    this.draw();
    this.frames.want(isFirst || !this.drag ? this.wishes() : [this.number]);
  }

  setWindow(center, width) {
    this.center.value = String(Math.round(center * 10) / 10);
    this.width.value = String(Math.max(1, Math.round(width * 10) / 10));
    // One picture at a time while a hand moves: the next is asked for when this one is there.
    this.pending ??= requestAnimationFrame(() => { this.pending = undefined; this.applyWindow(); });
  }

  resetWindow() {
    if (!this.center) return;
    this.center.value = this.center.dataset.first;
    this.width.value = this.width.dataset.first;
    this.applyWindow();
  }

  listen() {
    this.slider?.addEventListener("input", () => this.goTo(Number(this.slider.value)));
    const reset = this.find("reset");
    if (reset) {
      reset.hidden = false;
      reset.disabled = !this.frames.query;
      reset.addEventListener("click", () => this.resetWindow());
      for (const input of [this.center, this.width]) input.addEventListener("change", () => this.applyWindow());
    }
    this.element.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.applyWindow();
    });
    if (this.count > 1) this.listenToWheel();
    if (this.center) this.listenToDrag();
    this.find("map")?.addEventListener("click", (event) => this.goToLine(event));
  }

  listenToWheel() {
    let turned = 0;
    this.stage.addEventListener("wheel", (event) => {
      if (event.ctrlKey) return;
      event.preventDefault();
      turned += event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * WHEEL_STEP;
      const steps = Math.trunc(turned / WHEEL_STEP);
      turned -= steps * WHEEL_STEP;
      if (steps) this.move(steps);
    }, { passive: false });
  }

  listenToDrag() {
    this.stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.drag = { x: event.clientX, y: event.clientY, center: Number(this.center.value), width: Number(this.width.value) };
      this.stage.setPointerCapture(event.pointerId);
    });
    this.stage.addEventListener("pointermove", (event) => {
      if (!this.drag) return;
      const { x, y, center, width } = this.drag;
      const [across, up] = [event.clientX - x, y - event.clientY];
      if (Math.hypot(across, up) < 4) return;
      this.setWindow(center - (up / 400) * width, width * 2 ** (-across / 250));
    });
    const end = () => {
      if (!this.drag) return;
      this.drag = undefined;
      this.applyWindow();
    };
    this.stage.addEventListener("pointerup", end);
    this.stage.addEventListener("pointercancel", end);
  }

  // The scan that lies nearest to where the map was clicked.
  goToLine(event) {
    const map = this.find("map");
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
    let best;
    this.lines.forEach((line, index) => {
      const points = line.split(" ").filter(Boolean).map((pair) => pair.split(",").map(Number));
      for (let i = 1; i < points.length; i += 1) {
        const distance = distanceTo(at, points[i - 1], points[i]);
        if (!best || distance < best.distance) best = { distance, number: index + 1 };
      }
    });
    if (best) this.goTo(best.number);
  }

  key(event) {
    const steps = {
      ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity,
    };
    if (event.key === "r" || event.key === "R") this.resetWindow();
    else if (this.count > 1 && event.key in steps) this.goTo(clamp(this.number + steps[event.key], 1, this.count));
    else return;
    event.preventDefault();
  }
}

function distanceTo(at, [x1, y1], [x2, y2]) {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const along = clamp(((at.x - x1) * dx + (at.y - y1) * dy) / (dx * dx + dy * dy || 1), 0, 1);
  return Math.hypot(at.x - x1 - along * dx, at.y - y1 - along * dy);
}

export function takeViewer() {
  const viewer = document.querySelector("[data-viewer]");
  if (!viewer) return;
  const panes = [...viewer.querySelectorAll("[data-pane]")].filter((it) => Number(it.dataset.frames) > 0).map((it) => new Pane(it));
  const linked = viewer.querySelector("[data-linked]");
  // Stacks of different length are scrolled by the same share.
  const follow = (leader) => {
    if (!linked?.checked) return;
    const share = (leader.number - 1) / Math.max(1, leader.count - 1);
    for (const pane of panes) if (pane !== leader) pane.show(1 + share * (pane.count - 1));
  };
  for (const pane of panes) pane.moved = follow;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !panes.length) return;
    const focus = document.activeElement;
    const isFree = !focus || focus === document.body || focus.id === "main" || focus.matches("[data-stage]");
    if (!isFree) return;
    (panes.find((pane) => pane.element.contains(focus)) ?? panes[0]).key(event);
  });
  const beside = viewer.querySelector("[data-beside]");
  if (!beside) return;
  beside.form.querySelector("button").hidden = true;
  beside.addEventListener("change", () => beside.form.requestSubmit());
}
