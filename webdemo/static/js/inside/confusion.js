// What the answer hangs on: the digit with a part hidden, and the training digits that are most like it.

import { unpack } from "../bytes.js";
import { make } from "./cell.js";
import { className } from "./story.js";
import { percent } from "../words.js";

const SIDE = 28;
const PIXEL = 10; // of the screen, for each pixel of the digit
const WORTH_SHOWING = 0.01; // of probability lost

const byId = (id) => document.getElementById(id);

/** @param {HTMLCanvasElement} canvas @param {Uint8Array} pixels   28 x 28 grey levels */
export function paintDigit(canvas, pixels) {
  canvas.width = canvas.height = SIDE;
  const image = new ImageData(SIDE, SIDE);
  pixels.forEach((level, i) => image.data.set([level, level, level, 255], 4 * i));
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** @param {string} packed   the digit @param {any} occlusion   as /api/explain has it */
export function showOcclusion(packed, { label, patch, stride, unhidden, probabilities }) {
  const digit = document.createElement("canvas");
  paintDigit(digit, unpack(packed));
  const canvas = byId("occlusion");
  canvas.width = canvas.height = SIDE * PIXEL;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(digit, 0, 0, canvas.width, canvas.height);
  const lost = probabilities.map((row) => row.map((share) => Math.max(unhidden - share, 0)));
  const most = Math.max(...lost.flat());
  const size = stride * PIXEL;
  lost.forEach((row, i) =>
    row.forEach((loss, j) => {
      if (most < WORTH_SHOWING) return;
      context.fillStyle = `rgb(255 90 20 / ${0.75 * (loss / most)})`;
      context.fillRect((j - 0.5) * size, (i - 0.5) * size, size, size);
    }),
  );
  const lowest = Math.min(...probabilities.flat());
  const what = label < 10 ? `“${className(label)}”` : "“not a digit”";
  byId("occlusion-words").textContent =
    most < WORTH_SHOWING
      ? `Whichever ${patch} × ${patch} pixels are hidden: ${what} stays at ${percent(lowest)} or more. Nothing hangs on a single part.`
      : `Orange: where hiding ${patch} × ${patch} pixels around it hurts. At worst ${what} falls from ${percent(unhidden)} to ${percent(lowest)}.`;
  canvas.setAttribute("aria-label", byId("occlusion-words").textContent);
}

/** @param {{status: string, detail: string, digits: {label: number, distance: number, pixels: string}[]}} nearest */
export function showNearest({ status, detail, digits }) {
  byId("nearest").replaceChildren(
    ...digits.map(({ label, distance, pixels }) => {
      const canvas = make("canvas");
      paintDigit(canvas, unpack(pixels));
      canvas.setAttribute("aria-hidden", "true");
      return make("li", "", canvas, make("b", "", className(label)), make("span", "note", distance.toFixed(2)));
    }),
  );
  byId("nearest-words").textContent = {
    ready: `The nearest ${detail}, measured by the numbers that the last dense layer is given; below each its label and its distance.`,
    preparing: "The training digits are being looked through for the first time. This takes some seconds …",
    missing: `${detail}.`,
  }[status];
}
