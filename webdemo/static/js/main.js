// The page: the drawing, its history, and what happens when it changes.

import { AnswerView } from "./answer.js";
import { pack } from "./bytes.js";
import { begin, redo, step, undo } from "./history.js";
import { listen } from "./keys.js";
import { Pad } from "./pad.js";
import { open, receive } from "./pictures.js";
import { Reader } from "./reader.js";
import { sampleButtons } from "./samples.js";
import { hideSteps, pixelsOf, showSteps } from "./seen.js";
import { recall, remember } from "./settings.js";
import { SIDE } from "./strokes.js";
import { verdict } from "./words.js";
import { WrongView } from "./wrong.js";

/** @typedef {import("./strokes.js").Mark} Mark */

const byId = (id) => document.getElementById(id);

/** @type {import("./history.js").History<readonly Mark[]>} */
let history = begin([]);
/** @type {{answer: import("./client.js").Answer, question: import("./reader.js").Question} | null} what is shown */
let shown = null;
let cleared = ""; // the words in the place of an answer

const live = byId("live");
const width = byId("width");

const pad = new Pad(byId("pad"), {
  width: () => Number(width.value),
  onMove: () => {
    byId("hint").hidden = true;
    read();
  },
  onStroke: (stroke) => changeTo(stroke ? [...history.present, stroke] : history.present),
});
const answerView = new AnswerView(choose);
const wrongView = new WrongView(showProblem);
const reader = new Reader({
  ask,
  onAnswer: show,
  onProblem: (problem) => {
    if (problem) clearAnswer("Not read yet.");
    showProblem(problem?.message ?? "");
  },
});

/** The drawing as it is now: a picture file with nothing drawn over it goes as it is, all else as the pad shows it. */
function ask() {
  const [mark, ...others] = history.present;
  if (mark && "picture" in mark && !others.length && !pad.isDrawing) {
    return { body: mark.picture.file, picture: mark.picture };
  }
  const image = pad.picture();
  return { body: image, picture: { image, width: SIDE, height: SIDE } };
}

/** The drawing grows: the answer about less of it stays until the next one comes. */
function read() {
  if (!live.checked) readAnew();
  else if (pad.isDrawing) reader.soon();
  else reader.now();
}

/** The drawing is another one than before, about which nothing is known yet. */
function readAnew() {
  reader.forget();
  const isBlank = !history.present.length && !pad.isDrawing;
  const words = isBlank ? verdict([]) : live.checked ? "Reading …" : "Press “Read it” when you are ready.";
  if (shown || words !== cleared) clearAnswer(words); // once a stroke, not for each of its points
  if (live.checked && !isBlank) reader.now();
}

/** @param {readonly Mark[]} marks   what is on the pad after a step that can be undone */
function changeTo(marks) {
  const grown = marks.length > history.present.length && history.present.every((mark, i) => mark === marks[i]);
  history = step(history, marks);
  paint();
  if (grown) read();
  else readAnew();
}

/** @param {typeof history} to */
function travel(to) {
  if (pad.isDrawing || to === history) return;
  history = to;
  paint();
  readAnew();
}

function paint() {
  pad.show(history.present);
  byId("undo").disabled = !history.past.length;
  byId("redo").disabled = !history.future.length;
  byId("clear").disabled = !history.present.length;
  byId("hint").hidden = history.present.length > 0;
}

/** @type {ConstructorParameters<typeof Reader>[0]["onAnswer"]} */
function show(answer, question, milliseconds) {
  if (!answer.digits.length) {
    return clearAnswer(question.body instanceof File ? "No digit was found in this picture." : verdict([]));
  }
  shown = { answer, question };
  answerView.show(answer, milliseconds);
  choose(0);
}

/** @param {number} index   which of several digits to look at */
function choose(index) {
  const { answer, question } = shown;
  answerView.choose(answer.digits, index);
  showSteps(question.picture, answer.digits, index);
  wrongView.offer(answer.digits[index].seen);
  offerInside(answer.digits[index].seen);
}

/** The link to the page that shows the network at work takes this digit with it. @param {string} [seen] */
async function offerInside(seen = "") {
  byId("inside").dataset.seen = seen;
  const pixels = seen && pack(await pixelsOf(seen));
  if (byId("inside").dataset.seen === seen) byId("inside").href = pixels ? `/inside#${pixels}` : "/inside";
}

/** @param {string} words */
function clearAnswer(words) {
  shown = null;
  cleared = words;
  answerView.clear(words);
  hideSteps();
  wrongView.offer();
  offerInside();
}

/** @param {string} sentence   empty: there is no problem any more */
function showProblem(sentence) {
  byId("problem-words").textContent = sentence;
  byId("problem").hidden = !sentence;
}

/** @param {File | undefined} file */
async function place(file) {
  if (!file) return showProblem("That was no file. Drop a picture: PNG, JPEG, WebP, GIF or BMP.");
  const words = byId("verdict").textContent;
  byId("verdict").textContent = "Opening …"; // which takes seconds if the picture is very large
  try {
    const picture = await open(file);
    showProblem("");
    changeTo([{ picture }]);
    if (!live.checked) reader.now();
  } catch (error) {
    byId("verdict").textContent = words;
    showProblem(error.message);
  }
}

/** The nib beside the slider, and the ring under the mouse, are as wide as the strokes on the screen. */
function showWidth() {
  const size = Math.round((Number(width.value) * byId("pad").clientWidth) / SIDE);
  byId("nib").style.width = byId("nib").style.height = `${size}px`;
  const ring = `<circle cx="32" cy="32" r="${size / 2}" fill="none" stroke="#888"/>`;
  const picture = `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64">${ring}</svg>`;
  byId("pad").style.cursor = `url("data:image/svg+xml,${encodeURIComponent(picture)}") 32 32, crosshair`;
}

byId("undo").addEventListener("click", () => travel(undo(history)));
byId("redo").addEventListener("click", () => travel(redo(history)));
byId("clear").addEventListener("click", () => !pad.isDrawing && changeTo([]));
byId("predict").addEventListener("click", () => reader.now());
byId("problem-close").addEventListener("click", () => showProblem(""));
live.addEventListener("change", () => {
  remember("live", String(live.checked));
  readAnew();
});
width.addEventListener("input", () => {
  remember("width", width.value);
  showWidth();
});
addEventListener("resize", showWidth);
byId("samples").append(...sampleButtons(changeTo));
receive({ input: byId("file"), button: byId("upload"), target: byId("drop") }, place);
listen();

live.checked = recall("live", "true") === "true";
width.value = recall("width", width.defaultValue);
showWidth();
paint();
clearAnswer(verdict([]));
