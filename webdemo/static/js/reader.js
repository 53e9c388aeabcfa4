// When to ask the server: soon after the drawing changed, one question at a time, always about the newest drawing.

import { Problem, isReady, predict } from "./client.js";

const PAUSE = 80; // milliseconds without a new point until the drawing is read
const LONGEST_PAUSE = 160; // the same while the points keep coming
const POLL = 2000; // milliseconds between two looks whether a server that was gone is back

/**
 * @typedef {object} Question
 * @property {HTMLCanvasElement | File} body   what is sent
 * @property {import("./pictures.js").Picture} picture   the same, to be shown
 */

export class Reader {
  #ask;
  #onAnswer;
  #onProblem;
  #inFlight = false;
  #again = false; // the drawing changed while a question was in flight
  #drawing = 0; // counts the drawings that are not a continuation of the one before
  #pauseEnds = 0;
  #latest = 0;
  #polls = 0;

  /**
   * @param {object} options
   * @param {() => Question} options.ask   a picture of the drawing as it is when this is called
   * @param {(answer: import("./client.js").Answer, question: Question, milliseconds: number) => void} options.onAnswer
   * @param {(problem: Problem | null) => void} options.onProblem   null: there is none any more
   */
  constructor({ ask, onAnswer, onProblem }) {
    this.#ask = ask;
    this.#onAnswer = onAnswer;
    this.#onProblem = onProblem;
  }

  /** Read the drawing when it has rested for a moment, or now and then if it does not rest. */
  soon() {
    const now = performance.now();
    if (!this.#pauseEnds) this.#latest = now + LONGEST_PAUSE;
    clearTimeout(this.#pauseEnds);
    this.#pauseEnds = setTimeout(() => this.now(), Math.min(PAUSE, Math.max(this.#latest - now, 0)));
  }

  /** Read the drawing now, or as soon as the question in flight is answered. */
  now() {
    this.#rest();
    if (this.#inFlight) this.#again = true;
    else this.#send();
  }

  /** The drawing is no longer the one that was read: an answer still on its way is about something else. */
  forget() {
    this.#rest();
    this.#again = false;
    this.#drawing++;
  }

  #rest() {
    clearTimeout(this.#pauseEnds);
    this.#pauseEnds = 0;
  }

  async #send() {
    const drawing = this.#drawing;
    const question = this.#ask();
    const began = performance.now();
    this.#inFlight = true;
    try {
      const answer = await predict(question.body);
      this.#stopPolling();
      this.#onProblem(null);
      if (drawing === this.#drawing) this.#onAnswer(answer, question, performance.now() - began);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.#fail(problem, drawing);
    } finally {
      this.#inFlight = false;
      if (this.#again) {
        this.#again = false;
        this.#send();
      }
    }
  }

  #fail(problem, drawing) {
    this.#onProblem(problem);
    if (problem.gone) this.#poll(drawing);
    else if (problem.retryAfter) setTimeout(() => drawing === this.#drawing && this.now(), 1000 * problem.retryAfter);
  }

  /** Look now and then whether the server is back, and then read the drawing if it is still that one. */
  #poll(drawing) {
    this.#stopPolling();
    this.#polls = setTimeout(async () => {
      const mine = this.#polls;
      const ready = await isReady();
      if (mine !== this.#polls) return; // a question has been answered, or has failed, in the meantime
      if (!ready) return this.#poll(drawing);
      this.#stopPolling();
      this.#onProblem(null);
      if (drawing === this.#drawing) this.now();
    }, POLL);
  }

  #stopPolling() {
    clearTimeout(this.#polls);
    this.#polls = 0;
  }
}
