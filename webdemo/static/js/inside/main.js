// The page that shows the network at work on one digit: what is asked of the server, and when.

import { pack, unpack } from "../bytes.js";
import { cellView } from "./cell.js";
import { Problem, explain } from "../client.js";
import { paintDigit, showNearest, showOcclusion } from "./confusion.js";
import { Pad } from "../pad.js";
import { Player } from "./player.js";
import { SAMPLES, sampleButtons } from "../samples.js";
import { Stage } from "./stage.js";
import { className, number } from "./story.js";
import { percent } from "../words.js";

const PEN = 16;
const PIXELS = 28 * 28;
const REST = 400; // milliseconds until the slower answers are asked for
const AGAIN = 1500; // and until those that were not ready are asked for again
const POLL = 2000; // and until a server that was gone is asked again

const byId = (id) => document.getElementById(id);

/** @type {readonly import("../strokes.js").Mark[]} */
let marks = [];
let state = null; // all that the server has told of this digit
/** @type {number | null} what the digit should have been, if the visitor has said so */
let label = null;
/** @type {{digit: {image: string} | {pixels: string}, parts: string[]} | null} what is asked and not answered */
let pending = null;
let newest = 0; // counts the questions: an answer to an older one comes too late
let newestCell = 0;
let later = 0;

const pad = new Pad(byId("pad"), {
  width: () => PEN,
  onMove: () => (byId("hint").hidden = true),
  onStroke: (stroke) => stroke && draw([...marks, stroke]),
});
const stage = new Stage((step, at) => choose(at));
const player = new Player(show);
const rate = byId("rate");
const jumps = [...document.querySelectorAll("#jumps button")];

/** @param {readonly import("../strokes.js").Mark[]} next   what is on the pad */
function draw(next) {
  marks = next;
  pad.show(marks);
  byId("hint").hidden = marks.length > 0;
  byId("clear").disabled = !marks.length;
  if (marks.length) askAnew({ image: pad.picture().toDataURL("image/png") });
}

/** Another digit. @param {{image: string} | {pixels: string}} digit */
function askAnew(digit) {
  label = null;
  if (state) delete state.found; // said of a picture alone
  pending = { digit, parts: ["maps", "gradients", "step", ...(state ? [] : ["code"])] };
  ask();
}

/** The same digit, or the one that is not answered yet, with another label or learning rate. @param {string[]} parts */
function askAgain(parts) {
  const { digit, parts: others } = pending ?? { digit: { pixels: state.pixels }, parts: [] };
  pending = { digit, parts: [...new Set([...others, ...parts])] };
  ask();
}

async function ask() {
  const mine = ++newest;
  clearTimeout(later);
  const { digit, parts } = pending;
  const settings = { learning_rate: learningRate(), ...(label === null ? {} : { label }) };
  try {
    const answer = await explain({ ...digit, ...settings, parts });
    if (mine !== newest) return;
    pending = null;
    showProblem("");
    receive(answer);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (mine !== newest) return;
    showProblem(problem.message);
    if (problem.gone || problem.retryAfter) later = setTimeout(ask, 1000 * problem.retryAfter || POLL);
    else pending = null;
  }
}

/** @param {any} answer */
function receive(answer) {
  const first = !state;
  state = { ...state, ...answer };
  history.replaceState(null, "", `#${state.pixels}`);
  if (first) {
    stage.build(state);
    byId("labels").replaceChildren(...state.probabilities.map((_, i) => labelButton(i)));
    byId("empty").hidden = true;
    byId("work").hidden = false;
  }
  stage.fill(state);
  if (first) player.start(stage.count);
  else player.show(player.position);
  showAnswer();
  later = setTimeout(askMore, REST);
}

/** What takes longer, once the visitor rests. */
async function askMore() {
  const mine = newest;
  try {
    const answer = await explain({ pixels: state.pixels, parts: ["occlusion", "nearest"] });
    if (mine !== newest) return;
    showOcclusion(answer.pixels, answer.occlusion);
    showNearest(answer.nearest);
    if (answer.nearest.status === "preparing") later = setTimeout(askMore, AGAIN);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (mine === newest) later = setTimeout(askMore, 1000 * problem.retryAfter || POLL);
  }
}

function showAnswer() {
  paintDigit(byId("seen"), unpack(state.pixels));
  const shares = state.probabilities;
  const best = shares.indexOf(Math.max(...shares));
  const what = best < 10 ? `It reads ${best === 8 ? "an" : "a"} ${best}` : "It sees no digit";
  const first = state.found > 1 ? ` This is the first of the ${state.found} that you have drawn.` : "";
  byId("said").textContent = `${what}, with ${percent(shares[best])}.${first}`;
  [...byId("labels").children].forEach((button, i) => button.setAttribute("aria-pressed", String(i === state.label)));
}

/** @param {number} i */
function labelButton(i) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-quiet";
  button.textContent = i < 10 ? String(i) : "no digit";
  button.setAttribute("aria-label", className(i));
  button.addEventListener("click", () => {
    label = i;
    askAgain(["gradients", "step"]);
  });
  return button;
}

/** @param {number} position */
function show(position) {
  const step = stage.show(position);
  byId("title").textContent = step.title;
  byId("position").setAttribute("aria-valuetext", `${position + 1}: ${step.title}`);
  for (const jump of jumps) jump.setAttribute("aria-current", jump.dataset.kind === step.kind ? "step" : "false");
  stage.frame(null);
  newestCell++;
  byId("cell-result").replaceChildren();
  const hasCells = step.kind === "forward" || step.kind === "backward";
  byId("cell").hidden = !hasCells;
  byId("rates").hidden = step.kind !== "update";
  byId("legend").hidden = !hasCells;
  if (hasCells) {
    const { shape, strongest } = stage;
    ["row", "column", "channel"].forEach((name, i) => {
      const axis = shape.length === 1 ? i - 2 : i; // a unit is a channel without a place
      byId(name).parentElement.hidden = axis < 0;
      byId(name).max = String((shape[axis] ?? 1) - 1);
      byId(name).value = String(strongest[axis] ?? 0);
    });
    byId("channel-name").textContent = shape.length === 1 ? "Unit" : "Map";
  }
}

/** Tell where a number comes from. @param {number[]} at */
async function choose(at) {
  const step = stage.show(player.position);
  if (!step.layer) return;
  player.pause();
  const mine = ++newestCell;
  stage.frame(at);
  ["channel", "column", "row"].slice(0, at.length).forEach((name, i) => (byId(name).value = String(at.at(-1 - i))));
  const cell = { layer: step.layer.name, at, backward: step.kind === "backward" };
  try {
    const answer = await explain({ pixels: state.pixels, label: state.label, parts: [], cell });
    if (mine !== newestCell) return;
    byId("cell-result").replaceChildren(...cellView(answer.cell, sourceOf(step), step.layer.kind));
    byId("cell-said").textContent = `${answer.cell.rule}: ${number(answer.cell.value)}`;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    showProblem(problem.message);
  }
}

/**
 * What a step computes from: the map below, or the gradient above. Layers that only pass numbers on are passed over, so
 * that a dense layer can say where in the maps its numbers stood.
 * @param {import("./story.js").Step} step
 */
function sourceOf({ kind, map }) {
  if (kind === "backward") return state.gradients[map + 1];
  let below = map - 1;
  while (below > 0 && ["Flatten", "Dropout"].includes(state.layers[below - 1].kind)) below--;
  return state.maps[below];
}

/** @param {string} sentence   empty: there is no problem any more */
function showProblem(sentence) {
  byId("problem-words").textContent = sentence;
  byId("problem").hidden = !sentence;
}

const learningRate = () => Number((10 ** Number(rate.value)).toPrecision(2));

function showRate() {
  byId("rate-value").textContent = number(learningRate(), 2);
  rate.setAttribute("aria-valuetext", byId("rate-value").textContent);
}

byId("clear").addEventListener("click", () => draw([]));
byId("problem-close").addEventListener("click", () => showProblem(""));
byId("samples").append(...sampleButtons(draw).filter((button) => !button.matches(".wide"))); // of one digit each
byId("cell").addEventListener("submit", (event) => {
  event.preventDefault();
  const names = stage.shape.length === 1 ? ["channel"] : ["row", "column", "channel"];
  choose(names.map((name) => Number(byId(name).value)));
});
for (const jump of jumps) jump.addEventListener("click", () => player.go(stage.first(jump.dataset.kind)));
rate.addEventListener("input", showRate);
rate.addEventListener("change", () => askAgain(["step"]));

/** The digit that came with the address, from the page before or from a bookmark. */
function begin() {
  try {
    const pixels = unpack(location.hash.slice(1));
    if (pixels.length === PIXELS) return askAnew({ pixels: pack(pixels) });
  } catch {
    // It is not one.
  }
  draw(SAMPLES[7].strokes);
}

addEventListener("hashchange", begin);
showRate();
begin();
