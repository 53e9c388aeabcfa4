// From the drawing to what the network saw, in four pictures.

import { fitted } from "./strokes.js";

const FRAME = 28; // pixels, the side of what the network sees
const BOX = 20; // pixels, the longer side of the ink in it
const SIDE = 160; // pixels of a picture on the page

/**
 * @typedef {import("./client.js").Reading} Reading
 * @typedef {import("./pictures.js").Picture} Picture
 */

const byId = (id) => document.getElementById(id);

/** @param {Picture} picture   what was sent @param {readonly Reading[]} readings @param {number} chosen */
export async function showSteps(picture, readings, chosen) {
  const { box, seen } = readings[chosen];
  if (!box || !seen) return hideSteps();
  byId("saw").classList.remove("empty");
  drawBoxes(blank("step-found"), picture, readings, chosen);
  drawCut(blank("step-cut"), picture, box);
  byId("seen").src = seen;
  byId("seen").alt = `The ${FRAME} by ${FRAME} pixels that the network saw`;
  const pixels = await pixelsOf(seen);
  if (byId("seen").src === seen) drawScaled(blank("step-scaled"), pixels); // else there is a newer answer, or none
}

/** They keep their place, so that nothing on the page moves when they come and go. */
export function hideSteps() {
  byId("saw").classList.add("empty");
  byId("seen").removeAttribute("src"); // of a picture that is still on its way to step three
}

/**
 * @param {string} seen   the data URL of a grey picture of 28 x 28
 * @returns {Promise<Uint8Array>} its 784 pixels, row by row, 0 to 255
 */
export async function pixelsOf(seen) {
  const image = new Image();
  image.src = seen;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = FRAME;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, FRAME, FRAME);
  return Uint8Array.from({ length: FRAME * FRAME }, (_, i) => data[4 * i]);
}

/** A canvas of the page, emptied. @param {string} id */
function blank(id) {
  const canvas = byId(id);
  canvas.width = canvas.height = SIDE;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  return context;
}

/** The picture with a box around each digit, that of the chosen one drawn strongly. */
function drawBoxes(context, picture, readings, chosen) {
  const { left, top, scale } = fitted(picture, SIDE);
  context.drawImage(picture.image, left, top, picture.width * scale, picture.height * scale);
  context.strokeStyle = getComputedStyle(context.canvas).getPropertyValue("--box");
  readings.forEach(({ box }, i) => {
    if (!box) return;
    context.lineWidth = i === chosen ? 3 : 1;
    const [x, y, width, height] = box.map((length) => length * scale);
    context.strokeRect(left + x, top + y, width, height);
  });
}

/** What is inside the box, as large as fits. */
function drawCut(context, picture, [x, y, width, height]) {
  const shrunk = picture.image.width / picture.width;
  const to = fitted({ width, height }, SIDE);
  const source = [x, y, width, height].map((length) => length * shrunk);
  context.drawImage(picture.image, ...source, to.left, to.top, width * to.scale, height * to.scale);
}

/** The ink of what the network saw, before it was moved: in the middle of the box of 20 x 20. */
function drawScaled(context, pixels) {
  const inked = [...pixels.keys()].filter((i) => pixels[i] > 0);
  const columns = inked.map((i) => i % FRAME);
  const rows = inked.map((i) => Math.floor(i / FRAME));
  const [left, top] = [Math.min(...columns), Math.min(...rows)];
  const width = Math.max(...columns) - left + 1;
  const height = Math.max(...rows) - top + 1;
  const pixel = SIDE / BOX;
  const [right, down] = [Math.floor((BOX - width) / 2), Math.floor((BOX - height) / 2)];
  inked.forEach((i, n) => {
    context.fillStyle = `rgb(${pixels[i]} ${pixels[i]} ${pixels[i]})`;
    context.fillRect((columns[n] - left + right) * pixel, (rows[n] - top + down) * pixel, pixel, pixel);
  });
}
