// The numbers of a layer as one picture: its maps side by side, each number a pixel.

import { pack, unpack } from "../bytes.js";

const WIDE = 1.6; // how much wider than high a picture should be
const HALF = 127; // steps from 0 to the largest number

/**
 * @typedef {object} PackedMap   as /api/explain has it
 * @property {number[]} shape   (height, width, channels) or (units,)
 * @property {number} largest
 * @property {number} norm
 * @property {string} data   signed bytes
 *
 * @typedef {object} Sheet   how the maps are laid out
 * @property {number} height   of one map
 * @property {number} width
 * @property {number} channels
 * @property {number} gap   pixels between maps
 * @property {number} columns   maps in a row
 * @property {number} rows
 * @property {boolean} isRow   of single numbers, not of maps
 */

/** @param {readonly number[]} shape @returns {Sheet} */
export function sheetOf(shape) {
  const isRow = shape.length === 1;
  const [height, width, channels] = isRow ? [1, 1, shape[0]] : shape;
  const gap = isRow ? 0 : 1;
  const best = Math.ceil(Math.sqrt((channels * WIDE * (height + gap)) / (width + gap)));
  const columns = isRow && channels <= 16 ? channels : Math.min(best, channels);
  return { height, width, channels, gap, columns, rows: Math.ceil(channels / columns), isRow };
}

/** @param {Sheet} sheet @returns {[number, number]} width and height in pixels */
export const sizeOf = ({ height, width, gap, columns, rows }) => [
  columns * (width + gap) - gap,
  rows * (height + gap) - gap,
];

/**
 * Which number stands at a pixel of the picture.
 * @param {Sheet} sheet @param {number} x @param {number} y
 * @returns {number[] | null} (row, column, channel) or (unit,); null between the maps
 */
export function cellAt({ height, width, channels, gap, columns, isRow }, x, y) {
  const [column, row] = [Math.floor(x / (width + gap)), Math.floor(y / (height + gap))];
  const channel = row * columns + column;
  const [j, i] = [Math.floor(x - column * (width + gap)), Math.floor(y - row * (height + gap))];
  if (channel >= channels || column >= columns || i >= height || j >= width) return null;
  return isRow ? [channel] : [i, j, channel];
}

/** The pixel at which a number stands. @param {Sheet} sheet @param {readonly number[]} at @returns {[number, number]} */
export function placeOf({ height, width, gap, columns, isRow }, at) {
  const [row, column, channel] = isRow ? [0, 0, at[0]] : at;
  return [(channel % columns) * (width + gap) + column, Math.floor(channel / columns) * (height + gap) + row];
}

/** The place of the number that is furthest from zero, the first of several. @param {PackedMap} map @returns {number[]} */
export function strongest({ shape, data }) {
  const sizes = new Int8Array(unpack(data).buffer).map(Math.abs);
  let at = sizes.indexOf(HALF);
  if (at < 0) at = 0; // all are zero
  if (shape.length === 1) return [at];
  const [, width, channels] = shape;
  return [Math.floor(at / (width * channels)), Math.floor(at / channels) % width, at % channels];
}

/** Black is zero. The root lets small numbers be seen beside large ones. */
const SIGNED = palette((share) => {
  const light = Math.sqrt(Math.abs(share));
  const warm = [255 * Math.min(1, 1.35 * light), 205 * light ** 1.5, 120 * light ** 4];
  const cold = [110 * light ** 4, 190 * light ** 1.5, 255 * Math.min(1, 1.35 * light)];
  return share >= 0 ? warm : cold;
});
const GREY = palette((share) => Array(3).fill(255 * Math.max(share, 0)));

/** @param {(share: number) => number[]} colour   of a share from -1 to 1: red, green, blue @returns {Uint8ClampedArray} */
function palette(colour) {
  const colours = new Uint8ClampedArray(4 * 256);
  for (let step = -HALF; step <= HALF; step++) colours.set([...colour(step / HALF), 255], 4 * (step & 255));
  return colours;
}

/** One map of several. @param {PackedMap} map @param {number} channel @returns {PackedMap} */
export function one({ shape: [height, width, channels], data, ...others }, channel) {
  const steps = unpack(data).filter((_, i) => i % channels === channel);
  return { ...others, shape: [height, width, 1], data: pack(steps) };
}

/** @param {HTMLCanvasElement} canvas @param {PackedMap} map @param {boolean} [isPicture]   grey, as pixels are */
export function paintMap(canvas, { shape, data }, isPicture = false) {
  const steps = unpack(data); // -1 is 255 here, as in the palette
  const sheet = sheetOf(shape);
  const { height, width, channels, gap, columns } = sheet;
  const colours = new Uint32Array((isPicture ? GREY : SIGNED).buffer);
  [canvas.width, canvas.height] = sizeOf(sheet);
  const image = new ImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let channel = 0; channel < channels; channel++) {
    const left = (channel % columns) * (width + gap);
    const top = Math.floor(channel / columns) * (height + gap);
    for (let i = 0; i < height; i++) {
      for (let j = 0; j < width; j++) {
        pixels[(top + i) * canvas.width + left + j] = colours[steps[(i * width + j) * channels + channel]];
      }
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
