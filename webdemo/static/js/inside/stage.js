// The steps on the page. Each has a place of its own that is filled once for a digit; stepping only shows another.

import { make } from "./cell.js";
import { cellAt, paintMap, placeOf, sheetOf, sizeOf, strongest } from "./maps.js";
import { className, number, stepsOf, tuple } from "./story.js";
import { percent } from "../words.js";

const [WIDEST, HIGHEST] = [680, 520]; // pixels on the screen
const LARGEST_PIXEL = 26;
const SURE = 0.05; // a loss below this is none to learn from

/** @typedef {import("./story.js").Step} Step */

export class Stage {
  /** @type {{step: Step, section: HTMLElement, facts: HTMLElement, body: HTMLElement, canvas?: HTMLCanvasElement, mark?: HTMLElement, strongest?: number[]}[]} */
  #places = [];
  #shown = -1;
  #onChoose;

  /** @param {(step: Step, at: number[]) => void} onChoose   a visitor wants to know where a number comes from */
  constructor(onChoose) {
    this.#onChoose = onChoose;
  }

  get count() {
    return this.#places.length;
  }

  /** Make a place for each step. @param {any} answer   of /api/explain, its code included */
  build({ layers, code }) {
    this.#places = stepsOf(layers).map((step) => this.#place(step, code));
    this.#shown = -1;
    document.getElementById("stage").replaceChildren(...this.#places.map(({ section }) => section));
  }

  /** The numbers of another digit, or of the same with another label or learning rate. @param {any} answer */
  fill(answer) {
    for (const place of this.#places) {
      const { step, facts, body, canvas } = place;
      const map = { input: answer.maps, forward: answer.maps }[step.kind] ?? answer.gradients;
      if (canvas) {
        paintMap(canvas, map[step.map], step.kind === "input");
        place.strongest = strongest(map[step.map]);
        size(canvas, map[step.map], step.title);
        facts.replaceChildren(...factsOf(step, map[step.map]));
      }
      if (step.kind === "probabilities") body.replaceChildren(softmaxOf(answer));
      if (step.kind === "loss") body.replaceChildren(lossOf(answer));
      if (step.kind === "update") {
        const columns = [answer.probabilities, answer.step.after];
        body.replaceChildren(lossAfter(answer), shares(["before", "after"], columns, answer.label));
      }
    }
  }

  /** The first step of a kind. @param {string} kind */
  first(kind) {
    return this.#places.findIndex(({ step }) => step.kind === kind);
  }

  /** @param {number} position @returns {Step} */
  show(position) {
    if (this.#shown >= 0) this.#places[this.#shown].section.hidden = true;
    this.#places[position].section.hidden = false;
    this.#shown = position;
    return this.#places[position].step;
  }

  /** Frame a number of the step that is shown. @param {number[] | null} at */
  frame(at) {
    const { mark, canvas } = this.#places[this.#shown];
    if (!mark) return;
    mark.hidden = !at;
    if (!at) return;
    const [x, y] = placeOf(sheetOf(this.shape), at);
    mark.style.left = `${(100 * x) / canvas.width}%`;
    mark.style.top = `${(100 * y) / canvas.height}%`;
    mark.style.width = `${100 / canvas.width}%`;
    mark.style.height = `${100 / canvas.height}%`;
  }

  /** The shape of the numbers that are shown. @returns {number[] | null} */
  get shape() {
    const { canvas } = this.#places[this.#shown];
    return canvas ? JSON.parse(canvas.dataset.shape) : null;
  }

  /** Where the number stands that is furthest from zero. @returns {number[]} */
  get strongest() {
    return this.#places[this.#shown].strongest;
  }

  #place(step, code) {
    const facts = make("dl", "facts");
    const body = make("div", "body");
    const section = make("section", "step", make("p", "words", step.words), facts, body);
    section.hidden = true;
    const place = { step, section, facts, body };
    if (step.kind === "input" || step.layer) {
      place.canvas = make("canvas");
      place.mark = make("span", "frame");
      place.mark.hidden = true;
      place.canvas.setAttribute("role", "img");
      body.append(make("div", "sheet", place.canvas, place.mark));
      place.canvas.addEventListener("click", (event) => this.#click(place, event));
    }
    if (step.layer) section.append(codeOf(code[step.layer.kind][step.kind]));
    return place;
  }

  #click({ step, canvas }, { clientX, clientY }) {
    const box = canvas.getBoundingClientRect();
    const x = ((clientX - box.left) / box.width) * canvas.width;
    const y = ((clientY - box.top) / box.height) * canvas.height;
    const at = cellAt(sheetOf(this.shape), x, y);
    if (at) this.#onChoose(step, at);
  }
}

/** What stands beside a picture. @param {Step} step @param {import("./maps.js").PackedMap} map */
function factsOf(step, map) {
  const { shape, norm, largest } = map;
  const facts = [["shape", tuple(shape)]];
  if (step.kind === "forward") facts.push(["parameters", step.layer.parameters.toLocaleString("en")]);
  facts.push(["norm", number(norm)], ["furthest from zero", number(largest)]);
  return facts.map(([name, value]) => make("div", "", make("dt", "", name), make("dd", "", value)));
}

/** As large on the screen as whole pixels allow. @param {HTMLCanvasElement} canvas @param {any} map @param {string} title */
function size(canvas, { shape }, title) {
  const [width, height] = sizeOf(sheetOf(shape));
  const scale = Math.max(1, Math.min(LARGEST_PIXEL, Math.floor(WIDEST / width), Math.floor(HIGHEST / height)));
  canvas.dataset.shape = JSON.stringify(shape);
  canvas.parentElement.style.width = `${width * scale}px`;
  canvas.setAttribute("aria-label", `${title}: numbers of shape ${tuple(shape)}, as a picture`);
}

/** The lines that compute a step. @param {{file: string, line: number, text: string}[]} sources */
function codeOf(sources) {
  const lines = sources.flatMap(({ file, line, text }) => [
    make("p", "file", `${file}, line ${line}`),
    make("pre", "", make("code", "", text)),
  ]);
  for (const each of lines) if (each.matches("pre")) each.tabIndex = 0; // long lines are scrolled by keyboard, too
  return make("details", "code", make("summary", "", "The lines that compute this"), ...lines);
}

/** A table of probabilities with bars. @param {string[]} names @param {number[][]} columns @param {number} [label] */
function shares(names, columns, label = -1) {
  const head = make("tr", "", make("th", "", "class"), ...names.map((name) => make("th", "", name)));
  const rows = columns[0].map((_, i) => {
    const cells = columns.map((column) => make("td", "", bar(column[i]), make("span", "number", percent(column[i]))));
    return make("tr", i === label ? "right" : "", make("th", "", className(i)), ...cells);
  });
  return make("table", "shares", make("thead", "", head), make("tbody", "", ...rows));
}

/** z, its power of e, and the share of that. */
function softmaxOf({ logits, probabilities }) {
  const largest = Math.max(...logits);
  const names = ["class", "z", "e^(z − largest)", "probability"];
  const rows = logits.map((z, i) => {
    const numbers = [number(z), number(Math.exp(z - largest), 3)].map((text) => make("td", "", make("span", "number", text)));
    const share = make("td", "", bar(probabilities[i]), make("span", "number", percent(probabilities[i])));
    return make("tr", "", make("th", "", className(i)), ...numbers, share);
  });
  const head = make("tr", "", ...names.map((name) => make("th", "", name)));
  return make("table", "shares", make("thead", "", head), make("tbody", "", ...rows));
}

/** p, y and p − y. */
function lossOf({ probabilities, label, loss }) {
  const head = make("tr", "", ...["class", "p, said", "y, true", "p − y"].map((name) => make("th", "", name)));
  const rows = probabilities.map((p, i) => {
    const y = i === label ? 1 : 0;
    const numbers = [number(p, 3), String(y)].map((text) => make("td", "", make("span", "number", text)));
    const difference = make("td", p < y ? "negative" : "", bar(Math.abs(p - y)), make("span", "number", number(p - y, 3)));
    return make("tr", y ? "right" : "", make("th", "", className(i)), ...numbers, difference);
  });
  const sum = make("p", "value", `loss = −log ${number(probabilities[label], 3)} = `, make("strong", "", number(loss)));
  sum.querySelector("strong").id = "loss";
  const sure = "It is right, and sure of it: next to nothing flows back. Choose another digit under “It should have been”.";
  const hint = loss < SURE ? [make("p", "note", sure)] : [];
  return make("div", "", sum, ...hint, make("table", "shares", make("thead", "", head), make("tbody", "", ...rows)));
}

/** How much a step has helped. */
function lossAfter({ label, loss, step }) {
  const after = make("strong", "", number(-Math.log(Math.max(step.after[label], Number.MIN_VALUE))));
  return make("p", "value", `loss ${number(loss)} → `, after);
}

/** @param {number} share */
function bar(share) {
  const fill = make("span");
  fill.style.transform = `scaleX(${Math.min(share, 1)})`;
  const track = make("span", "track", fill);
  track.setAttribute("aria-hidden", "true");
  return track;
}
