// The pad: a canvas on which one mouse, finger or pen draws.

import { EVEN, SIDE, paint } from "./strokes.js";

const MOST_PIXELS_A_UNIT = 3;
const CLOSE = 0.5; // units: points nearer to each other than this tell nothing new

/**
 * @typedef {import("./strokes.js").Mark} Mark
 * @typedef {import("./strokes.js").Stroke} Stroke
 * @typedef {import("./strokes.js").Point} Point
 */

export class Pad {
  /** @type {readonly Mark[]} */
  #marks = [];
  /** @type {{id: number, type: string, width: number, points: Point[]} | null} the stroke being drawn */
  #live = null;
  #awaitsFrame = false;
  #canvas;
  #context;
  #width;
  #onMove;
  #onStroke;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {object} options
   * @param {() => number} options.width   of the pen, in units
   * @param {() => void} options.onMove   the stroke being drawn has grown
   * @param {(stroke: Stroke | null) => void} options.onStroke   it is finished; null: it was none after all
   */
  constructor(canvas, { width, onMove, onStroke }) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.#width = width;
    this.#onMove = onMove;
    this.#onStroke = onStroke;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.#cancel(event));
    canvas.addEventListener("contextmenu", (event) => this.#live && event.preventDefault());
    // The size changes with the window; the pixels of the screen with the zoom, or when moved to another screen.
    new ResizeObserver(() => this.#resize()).observe(canvas);
    addEventListener("resize", () => this.#resize());
  }

  get isDrawing() {
    return this.#live !== null;
  }

  /** @param {readonly Mark[]} marks */
  show(marks) {
    this.#marks = marks;
    this.#paint();
  }

  /** What is on the pad now, the unfinished stroke included, on white paper, 280 pixels wide and high. */
  picture() {
    this.#paintIfDue();
    const copy = document.createElement("canvas");
    copy.width = copy.height = SIDE;
    const context = copy.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "white";
    context.fillRect(0, 0, SIDE, SIDE);
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#canvas, 0, 0, SIDE, SIDE);
    return copy;
  }

  #resize() {
    const pixels = (this.#canvas.clientWidth * devicePixelRatio) / SIDE;
    const scale = Math.min(Math.max(Math.ceil(pixels - 0.05), 1), MOST_PIXELS_A_UNIT);
    if (this.#canvas.width === scale * SIDE) return;
    this.#canvas.width = this.#canvas.height = scale * SIDE;
    this.#paint();
  }

  /** @param {PointerEvent} event */
  #down(event) {
    const palm = event.pointerType === "pen" && this.#live?.type === "touch"; // the hand lay down before its pen
    if (event.button !== 0 || (this.#live && !palm)) return;
    this.#live = { id: event.pointerId, type: event.pointerType, width: this.#width(), points: [] };
    try {
      this.#canvas.setPointerCapture(event.pointerId);
    } catch {
      // The pointer is already gone: a tap as short as that still leaves its dot.
    }
    this.#add(event);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (event.pointerId !== this.#live?.id) return;
    const all = event.getCoalescedEvents?.() ?? [];
    for (const each of all.length ? all : [event]) this.#add(each);
  }

  /** @param {PointerEvent} event */
  #add(event) {
    const box = this.#canvas.getBoundingClientRect();
    const x = round(((event.clientX - box.left) / box.width) * SIDE);
    const y = round(((event.clientY - box.top) / box.height) * SIDE);
    const { points } = this.#live;
    const last = points[points.length - 1];
    if (last && Math.hypot(x - last[0], y - last[1]) < CLOSE) return;
    const felt = event.pointerType === "pen" && event.pressure > 0 ? event.pressure : EVEN;
    points.push([x, y, felt]);
    this.#paintSoon();
    this.#onMove();
  }

  /** @param {PointerEvent} event */
  #up(event) {
    if (event.pointerId !== this.#live?.id) return;
    const { width, points } = this.#live;
    this.#live = null;
    this.#onStroke({ width, points });
  }

  /** The browser takes the pointer away: it was a palm, or a gesture of the system, not a stroke. */
  #cancel(event) {
    if (event.pointerId !== this.#live?.id) return;
    this.#live = null;
    this.#paint();
    this.#onStroke(null);
  }

  #paintSoon() {
    if (this.#awaitsFrame) return;
    this.#awaitsFrame = true;
    requestAnimationFrame(() => this.#paintIfDue());
  }

  #paintIfDue() {
    if (this.#awaitsFrame) this.#paint();
  }

  #paint() {
    this.#awaitsFrame = false;
    const scale = this.#canvas.width / SIDE;
    this.#context.setTransform(scale, 0, 0, scale, 0, 0);
    this.#context.clearRect(0, 0, SIDE, SIDE);
    paint(this.#context, this.#live ? [...this.#marks, this.#live] : this.#marks);
    this.#context.setTransform(1, 0, 0, 1, 0, 0); // as whoever paints by script expects to find it
  }
}

/** Hundredths of a unit are finer than any screen, and keep what is stored short. */
const round = (value) => Math.round(value * 100) / 100;
