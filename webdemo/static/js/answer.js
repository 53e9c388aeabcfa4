// The answer: the digit large, the words, ten bars, the time.

import { about, candidates, percent, sign, verdict } from "./words.js";

/** @typedef {import("./client.js").Reading} Reading */

const BLANK = "–";
const QUIET = 700; // milliseconds for which the words must stay the same before a screen reader says them

const byId = (id) => document.getElementById(id);

export class AnswerView {
  #digit = byId("digit");
  #verdict = byId("verdict");
  #chosen = byId("chosen");
  #found = byId("found");
  #time = byId("time");
  #announcement = byId("announcement");
  #rows = Array.from({ length: 10 }, (_, digit) => bar(digit));
  #quiet = 0;
  #onChoose;

  /** @param {(index: number) => void} onChoose   a visitor wants to see another of several digits */
  constructor(onChoose) {
    this.#onChoose = onChoose;
    byId("bars").replaceChildren(...this.#rows.map(({ row }) => row));
  }

  /** Nothing is known of the drawing. @param {string} words   why */
  clear(words) {
    this.#digit.replaceChildren(letter(BLANK, "nothing"));
    this.#digit.style.setProperty("--count", "1");
    this.#say(words);
    this.#time.textContent = "";
    this.#found.replaceChildren();
    this.#chosen.textContent = "";
    this.#fill(null);
  }

  /**
   * @param {import("./client.js").Answer} answer   of at least one digit
   * @param {number} milliseconds   from the question to the answer, as the page measured it
   */
  show(answer, milliseconds) {
    const readings = answer.digits;
    this.#digit.replaceChildren(...readings.map((each) => letter(sign(each), kind(each))));
    this.#digit.style.setProperty("--count", String(readings.length));
    this.#say(verdict(readings));
    const here = answer.milliseconds.toFixed(1);
    this.#time.textContent = `${here} ms in the server, ${milliseconds.toFixed(0)} ms in all. Weights: ${answer.model}`;
    this.#found.replaceChildren(...(readings.length > 1 ? readings.map((each, i) => this.#choice(each, i)) : []));
  }

  /** Show the bars of one digit. @param {readonly Reading[]} readings @param {number} index */
  choose(readings, index) {
    this.#chosen.textContent = readings.length > 1 ? about(readings[index], index, readings.length) : "";
    [...this.#found.children].forEach((choice, i) => choice.setAttribute("aria-pressed", String(i === index)));
    this.#fill(readings[index]);
  }

  /** A button that shows one of several digits. */
  #choice(reading, i) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = `choice ${kind(reading)}`;
    button.setAttribute("aria-label", `Digit ${i + 1}: ${inWords(reading)}`);
    if (reading.seen) {
      const picture = document.createElement("img");
      picture.src = reading.seen;
      picture.alt = "";
      button.append(picture);
    }
    button.append(letter(sign(reading) + (reading.verdict === "unsure" ? "?" : ""), "name"));
    button.addEventListener("click", () => this.#onChoose(i));
    return button;
  }

  /** @param {Reading | null} reading */
  #fill(reading) {
    const likely = reading && { sure: [reading.digit], unsure: candidates(reading), refused: [] }[kind(reading)];
    this.#rows.forEach(({ row, fill, share }, digit) => {
      const probability = reading ? reading.probabilities[digit] : 0;
      fill.style.transform = `scaleX(${probability})`;
      share.textContent = reading ? percent(probability) : BLANK;
      row.className = likely?.includes(digit) ? `likely ${kind(reading)}` : "";
    });
  }

  /** Write the words at once; have them read out only when they last, so that drawing is not talked over. */
  #say(words) {
    this.#verdict.textContent = words;
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => {
      if (this.#announcement.textContent !== words) this.#announcement.textContent = words;
    }, QUIET);
  }
}

/** A class for the style sheet. @param {Reading} reading */
const kind = ({ verdict }) => ({ unsure: "unsure", "not a digit": "refused" })[verdict] ?? "sure";

/** @param {Reading} reading */
const inWords = (reading) =>
  reading.verdict === "not a digit" ? "not a digit" : `${reading.digit}${reading.verdict === "unsure" ? ", unsure" : ""}`;

/** @param {string} text @param {string} className */
function letter(text, className) {
  const span = document.createElement("span");
  span.className = className;
  span.textContent = text;
  return span;
}

/** A row such as "7  98.2 %", with a bar between the two that says the same to the eye. @param {number} digit */
function bar(digit) {
  const row = document.createElement("li");
  const fill = document.createElement("span");
  const track = letter("", "track");
  track.setAttribute("aria-hidden", "true");
  track.append(fill);
  const share = letter(BLANK, "share");
  row.append(letter(String(digit), "name"), " ", track, " ", share);
  return { row, fill, share };
}
