// Drawings to try, for those who would rather look first.

import { EVEN, SIDE, outline } from "./strokes.js";

/** @typedef {import("./strokes.js").Stroke} Stroke */

const PEN = 16;

// Strokes are parted by "|", points by a space. A point given twice makes a corner.
const DIGITS = [
  "150,53 116,58 88,88 77,132 82,180 104,218 140,230 176,214 198,174 200,124 184,78 158,56 146,52",
  "112,92 134,72 150,52 150,52 147,112 144,170 142,230",
  "84,102 94,70 126,52 162,60 182,88 176,120 152,154 118,190 84,224 84,224 122,218 160,222 206,222",
  "88,76 120,54 158,56 180,82 168,114 130,134 130,134 170,142 194,172 186,208 148,230 108,226 80,206",
  "124,52 108,104 82,160 82,160 140,158 208,152|168,102 165,160 160,232",
  "192,56 152,60 114,60 114,60 104,128 104,128 140,114 178,126 198,166 184,206 146,230 106,226 80,208",
  "174,52 132,80 100,126 86,176 98,214 136,232 174,216 188,184 170,154 134,150 102,170 90,192",
  "80,64 140,60 200,62 200,62 172,118 148,174 132,232",
  "178,80 150,54 112,62 102,94 126,124 164,150 184,188 166,222 130,232 96,212 98,178 126,148 160,120 180,92 174,72",
  "182,94 164,60 124,56 96,84 102,120 134,138 168,122 184,88 184,88 182,140 174,190 160,232",
];
const FOUR_OR_NINE = "142,60 100,104 104,142 138,152 178,142|174,66 178,140 170,232";
const NOUGHT_OR_SIX =
  "150,39 116,60 90,88 78,132 82,180 104,218 140,230 176,214 190,184 186,115 170,95 140,83 110,93 90,111";
const SCRIBBLE =
  "60,120 110,60 90,170 150,70 120,210 190,80 150,220 220,110 180,210 230,160 70,190 200,60 60,80 220,200 100,230 60,140";

/** @param {string} text @param {number} [width] @param {number} [shrink] @param {number} [left] @param {number} [top] */
function strokes(text, width = PEN, shrink = 1, left = 0, top = 0) {
  return text.split("|").map((stroke) => ({
    width,
    points: stroke.split(" ").map((point) => {
      const [x, y] = point.split(",").map(Number);
      return /** @type {const} */ ([left + x * shrink, top + y * shrink, EVEN]);
    }),
  }));
}

/** A number, its digits side by side. @param {readonly number[]} digits */
const row = (digits) => digits.flatMap((digit, i) => strokes(DIGITS[digit], 9, 0.45, 4 + i * 68 - 24, 76));

/** @type {readonly {name: string, strokes: readonly Stroke[], wide?: boolean}[]} */
export const SAMPLES = [
  ...DIGITS.map((digit, i) => ({ name: `a ${i}`, strokes: strokes(digit) })),
  { name: "a 4 or a 9", strokes: strokes(FOUR_OR_NINE) },
  { name: "a 0 or a 6", strokes: strokes(NOUGHT_OR_SIX) },
  { name: "a scribble", strokes: strokes(SCRIBBLE, 10) },
  { name: "the number 2026", strokes: row([2, 0, 2, 6]), wide: true },
];

/** @param {(strokes: readonly Stroke[]) => void} onChoose @returns {HTMLElement[]} a button for each sample */
export const sampleButtons = (onChoose) =>
  SAMPLES.map((sample) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = sample.wide ? "sample wide" : "sample";
    button.setAttribute("aria-label", `Try ${sample.name}`);
    button.append(drawn(sample));
    button.addEventListener("click", () => onChoose(sample.strokes));
    return button;
  });

/** @param {typeof SAMPLES[number]} sample */
function drawn({ strokes, wide }) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", wide ? `0 ${SIDE / 4} ${SIDE} ${SIDE / 2}` : `20 20 ${SIDE - 40} ${SIDE - 40}`);
  svg.setAttribute("aria-hidden", "true");
  for (const { width, points } of strokes) {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", outline(points));
    path.setAttribute("stroke-width", String(width));
    svg.append(path);
  }
  return svg;
}
