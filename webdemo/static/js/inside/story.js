// The way of a digit through the network and back, in steps, and what is said about each of them.

/**
 * @typedef {object} Layer   as /api/explain has it
 * @property {string} name
 * @property {string} kind
 * @property {string} layer
 * @property {number[]} output_shape
 * @property {number} parameters
 *
 * @typedef {object} Step
 * @property {"input" | "forward" | "probabilities" | "loss" | "backward" | "update"} kind
 * @property {string} title
 * @property {string} words
 * @property {number} [map]   the number of the maps, or gradients, that are shown
 * @property {Layer} [layer]
 */

const FORWARD = {
  Conv2D: ({ output_shape: shape }) =>
    `${shape[2]} kernels, each a small window of weights, slide over all maps below. At each place every number under a kernel is multiplied by its weight, and the products are added up. One kernel makes one map.`,
  BatchNorm: "Each map is shifted and stretched by numbers found in training, which brings all maps to a similar size.",
  ReLU: "What is below zero becomes zero; the rest stays. Without such a bend all layers together would be no more than one.",
  MaxPool2D: "Of each window only the largest number goes on: smaller maps, and the exact place matters less.",
  AvgPool2D: "Each window becomes its mean: smaller maps.",
  GlobalAvgPool2D: "Each map becomes one number, its mean.",
  Dropout: "In training, some numbers are left out here at random, so that the network leans on no single one. When it reads, as now, all of them go on as they are.",
  Flatten: "The maps become one row of numbers. Nothing is computed.",
  Dense: ({ output_shape: [units] }) => `Each of the ${units} outputs is a weighted sum of all numbers below, plus a bias.`,
};
const BACKWARD = {
  Conv2D: "Each number below was seen by several windows. It gets back from each the gradient there times the weight it met, all added up.",
  BatchNorm: "Going forward each map was stretched; the gradient is stretched by the same factor. (Mean and variance count as fixed here, as when the network reads.)",
  ReLU: "Where the number was cut off to zero, the gate is shut and no gradient gets through. Elsewhere it passes unchanged.",
  MaxPool2D: "Only the winner of each window had a say. The gradient goes to it alone; the others get zero.",
  AvgPool2D: "Each number of a window gets an equal share of the gradient.",
  GlobalAvgPool2D: "Each number of a map gets an equal share of the gradient.",
  Dropout: "Nothing was left out, so the gradient passes unchanged. In training it would be zero where numbers were left out.",
  Flatten: "The row takes the shape of the maps again. Nothing is computed.",
  Dense: "Each number below gets back the gradients of all outputs, weighted by the weights that led there.",
};
const OTHER = "A layer of your own: its lines are below.";

/** @param {readonly Layer[]} layers @returns {Step[]} */
export const stepsOf = (layers) => [
  {
    kind: "input",
    map: 0,
    title: "The pixels",
    words: "All that the network is given: 28 × 28 numbers from 0 (paper) to 1 (ink), your digit cut out, scaled and centred.",
  },
  ...layers.map((layer, i) => ({
    kind: "forward",
    map: i + 1,
    layer,
    title: `Forward: ${layer.layer}`,
    words: forwardWords(layer),
  })),
  {
    kind: "probabilities",
    title: "Forward: softmax",
    words: "The last numbers, z, become probabilities: e to the power of each, divided by the sum of them all. (The largest z is taken from each before, which changes no quotient and keeps the powers small.)",
  },
  {
    kind: "loss",
    map: layers.length,
    title: "The loss and its gradient",
    words: "Now say what it should have been. The loss is −log of the probability that this answer got. Its gradient at the last layer’s outputs is simply p − y: what the network said, less what is true.",
  },
  ...[...layers.keys()].reverse().map((i) => ({
    kind: "backward",
    map: i,
    layer: layers[i],
    title: `Backward: ${layers[i].layer}${i ? "" : ", down to the pixels"}`,
    words: `${BACKWARD[layers[i].kind] ?? OTHER}${i ? "" : PIXELS}`,
  })),
  {
    kind: "update",
    title: "One step of learning",
    words: "Every weight takes a step against its gradient: weight − learning rate × gradient. This is done in a copy, on your digit alone. Before and after:",
  },
];

/** @param {Layer} layer @returns {string} */
function forwardWords(layer) {
  const words = FORWARD[layer.kind] ?? OTHER;
  return typeof words === "function" ? words(layer) : words;
}

const PIXELS = " What arrives says how the loss would change if a pixel became brighter: orange would raise it, blue lower it.";

/** A class by its number. @param {number} label */
export const className = (label) => (label < 10 ? String(label) : "not a digit");

/** @param {number} value @param {number} [digits] */
export function number(value, digits = 4) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e-4 && size < 1e6 ? value.toPrecision(digits) : value.toExponential(digits - 1);
  return text.replaceAll("-", "−");
}

/** @param {readonly number[]} shape   as Python writes it */
export const tuple = (shape) => `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
