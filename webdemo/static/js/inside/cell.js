// Where one number comes from: what went in, the weights, the products, the sum.

import { one, paintMap } from "./maps.js";
import { number } from "./story.js";

const MOST_TERMS = 12; // of a long sum, the largest are shown

/**
 * @typedef {object} Cell   as /api/explain has it
 * @property {string} rule
 * @property {number} value
 * @property {boolean} backward
 * @property {number[]} at
 * @property {any[]} inputs
 * @property {any[] | null} weights
 * @property {number} bias
 * @property {number | null} sum
 * @property {Record<string, number>} numbers
 * @property {number[] | null} chosen
 * @property {number[] | null} corner
 */

/** @param {string} tag @param {string} [className] @param {...(Node | string)} inside */
export function make(tag, className = "", ...inside) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...inside);
  return element;
}

/** @param {...(Node | string)} inside */
const p = (...inside) => make("p", "", ...inside);

/**
 * @param {Cell} cell
 * @param {import("./maps.js").PackedMap} source   the map that its inputs were taken from
 * @param {string} kind   of the layer
 * @returns {HTMLElement[]}
 */
export function cellView(cell, source, kind) {
  const value = make("p", "value", "= ");
  const shown = make("strong", "", number(cell.value, 6));
  shown.id = "cell-value";
  value.append(shown);
  return [...working(cell, source, kind), value];
}

/** @returns {HTMLElement[]} */
function working(cell, source, kind) {
  const { rule, inputs, numbers: n } = cell;
  const x = number(inputs[0]?.length === undefined ? (inputs[0] ?? 0) : 0);
  switch (rule) {
    case "weighted sum":
      return weightedSum(cell, source, kind);
    case "normalised":
      return [
        p(`(input − mean) ÷ √(variance + ε) × γ + β, with γ and β learned, mean and variance of many digits:`),
        p(`(${x} − ${bracketed(n.mean)}) ÷ √(${number(n.variance)} + ${number(n.epsilon)}) × ${bracketed(n.gamma)} + ${bracketed(n.beta)}`),
      ];
    case "largest":
      return [
        p("The largest of this window:"),
        make("div", "products", windowIn(source, cell, cell.at[2]), grid(inputs, "window", cell.chosen)),
      ];
    case "winner":
      return [
        p(`The gradient from above is ${number(n.dy)}. In the forward pass the framed number won this window, so it alone gets that:`),
        grid(inputs, "window", cell.chosen),
        ...(isTied(inputs) ? [p("Several are equal: then the first counts as the winner.")] : []),
      ];
    case "gate":
      return [
        n.y > 0
          ? p(`The number here was ${number(n.y)}, above zero: the gate is open, and ${x} passes.`)
          : p(`The number here was cut off to zero: the gate is shut, and ${x} does not pass.`),
      ];
    case "function":
      return [kind === "ReLU" ? p(`The larger of ${x} and 0`) : p(`A function of the one number below, ${x}`)];
    case "same":
      return [p(`The same number as ${cell.backward ? "above" : "below"}: ${x}`)];
    default:
      return [p("How this one is computed, the lines below tell.")];
  }
}

/** @param {number[][]} window */
function isTied(window) {
  const all = window.flat();
  const largest = Math.max(...all);
  return all.indexOf(largest) !== all.lastIndexOf(largest);
}

/** @returns {HTMLElement[]} */
function weightedSum(cell, source, kind) {
  const { bias, sum, backward } = cell;
  const what = backward ? "gradient" : "number";
  const from = backward ? "from above" : "from below";
  const ending = bias ? ` + bias ${bracketed(bias)}` : "";
  const total = p(`Sum of the products: ${number(sum)}${ending}`);
  if (cell.inputs.length === 1 && !cell.inputs[0].length) {
    const factor = kind === "BatchNorm" ? "γ ÷ √(variance + ε), the factor of the way up" : "a factor";
    return [p(`The ${what} ${from} times ${factor}: ${number(cell.inputs[0])} × ${bracketed(cell.weights[0])}`)];
  }
  if (!cell.inputs[0].length) {
    const story = p(`${count(cell.inputs.length, what)} ${from}, each times its weight:`);
    return [story, terms(cell.inputs, cell.weights, source, what), total];
  }
  const isOneMap = !cell.inputs[0][0].length; // as in a pooling, which works on each map by itself
  const [inputs, weights] = [cell.inputs, cell.weights].map((rows) =>
    isOneMap ? rows.map((row) => row.map((each) => [each])) : rows,
  );
  const [height, width, channels] = [inputs.length, inputs[0].length, inputs[0][0].length];
  const pick = (array, channel) => array.map((row) => row.map((each) => each[channel]));
  const shares = Array.from({ length: channels }, (_, channel) => {
    const [a, w] = [pick(inputs, channel), pick(weights, channel)];
    return a.flatMap((row, i) => row.map((each, j) => each * w[i][j])).reduce((total, each) => total + each, 0);
  });
  const grids = make("div", "products");
  const show = (channel) => {
    const [a, w] = [pick(inputs, channel), pick(weights, channel)];
    const products = a.map((row, i) => row.map((each, j) => each * w[i][j]));
    grids.replaceChildren(
      windowIn(source, cell, isOneMap ? cell.at.at(-1) : channel),
      grid(a, backward ? "gradient" : "patch"),
      make("span", "sign", "×"),
      grid(w, "kernel"),
      make("span", "sign", "="),
      grid(products, `products, sum ${number(shares[channel])}`),
    );
  };
  const order = [...shares.keys()].sort((a, b) => Math.abs(shares[b]) - Math.abs(shares[a]));
  show(order[0]);
  const size = `${height} × ${width}${channels > 1 ? ` × ${channels}` : ""}`;
  const story = p(`A window of ${size} ${what}s ${from}, each times its weight: ${count(height * width * channels, "product")}.`);
  const [top, left] = cell.corner;
  const isOver = top < 0 || left < 0 || top + height > source.shape[0] || left + width > source.shape[1];
  if (isOver) total.prepend("Beyond the edge all numbers count as 0. ");
  return channels > 1 ? [story, picker(order, shares, show), grids, total] : [story, grids, total];
}

/** A map with a frame around the window that the inputs were taken from. */
function windowIn(source, { inputs, corner, backward }, channel) {
  const [height, width] = source.shape;
  const canvas = make("canvas");
  canvas.setAttribute("aria-hidden", "true"); // the numbers beside it say the same
  paintMap(canvas, one(source, channel));
  const frame = make("span", "window");
  const inside = make("div", "sheet", canvas, frame);
  const [top, left] = corner;
  const [rows, columns] = [inputs.length, inputs[0].length];
  frame.style.top = `${(100 * Math.max(top, 0)) / height}%`;
  frame.style.left = `${(100 * Math.max(left, 0)) / width}%`;
  frame.style.height = `${(100 * (Math.min(top + rows, height) - Math.max(top, 0))) / height}%`;
  frame.style.width = `${(100 * (Math.min(left + columns, width) - Math.max(left, 0))) / width}%`;
  return make("figure", "", make("figcaption", "", `${backward ? "gradient" : "map"} ${channel}`), inside);
}

/** Chooses one of many maps below, those first that matter most here. */
function picker(order, shares, onChoose) {
  const select = make("select", "form-select");
  select.append(...order.map((channel) => new Option(`map ${channel}: adds ${number(shares[channel])}`, String(channel))));
  select.addEventListener("change", () => onChoose(Number(select.value)));
  return make("label", "picker", "Seen in ", select);
}

/** The largest terms of a sum, and what the rest comes to. @param {number[]} inputs @param {number[]} weights @param {string} what   they are */
function terms(inputs, weights, { shape: [, width, channels] }, what) {
  const products = inputs.map((each, i) => each * weights[i]);
  const order = [...products.keys()].sort((a, b) => Math.abs(products[b]) - Math.abs(products[a]));
  const head = make("tr", "", ...[channels ? "row, column, map" : "unit", what, "weight", "product"].map((word) => make("th", "", word)));
  const rows = order.slice(0, MOST_TERMS).map((i) => {
    const place = [Math.floor(i / (width * channels)), Math.floor(i / channels) % width, i % channels].join(", ");
    const cells = [channels ? place : String(i), number(inputs[i]), number(weights[i]), number(products[i])];
    return make("tr", "", ...cells.map((text) => make("td", "", text)));
  });
  const rest = order.slice(MOST_TERMS);
  if (rest.length) {
    const left = number(rest.reduce((total, i) => total + products[i], 0));
    const words = make("td", "", `the ${rest.length.toLocaleString("en")} others`);
    words.colSpan = 3;
    rows.push(make("tr", "rest", words, make("td", "", left)));
  }
  return make("table", "terms", make("thead", "", head), make("tbody", "", ...rows));
}

/** A window of numbers, coloured by their size. @param {number[][]} rows @param {string} name @param {number[] | null} [chosen] */
function grid(rows, name, chosen = null) {
  const largest = Math.max(...rows.flat().map(Math.abs)) || 1;
  const body = rows.map((row, i) =>
    make("tr", "", ...row.map((each, j) => {
      const cell = make("td", chosen && chosen[0] === i && chosen[1] === j ? "chosen" : "", number(each, 3));
      cell.style.setProperty("--share", `${Math.round((55 * Math.abs(each)) / largest)}%`);
      if (each < 0) cell.classList.add("negative");
      return cell;
    })),
  );
  return make("table", "grid", make("caption", "", name), make("tbody", "", ...body));
}

/** @param {number} n @param {string} thing */
const count = (n, thing) => `${n.toLocaleString("en")} ${thing}${n === 1 ? "" : "s"}`;

/** @param {number} value */
const bracketed = (value) => (value < 0 ? `(${number(value)})` : number(value));
