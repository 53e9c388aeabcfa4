// The list of runs: which are drawn, which one is looked into, and which may go on.

/** @typedef {import("./client.js").Run} Run */

const STATES = {
  training: "learning now",
  finished: "finished",
  stopped: "stopped",
  failed: "failed",
  silent: "silent",
  broken: "cannot be read",
};

const GUESSING = 0.2; // accuracy

const byId = (id) => document.getElementById(id);

export class RunList {
  /** @type {Map<string, RunItem>} */
  #items = new Map();
  #actions;

  /**
   * @param {object} actions
   * @param {(name: string) => void} actions.onDraw   its curves are wanted, or wanted no more
   * @param {(name: string) => void} actions.onLook
   * @param {(name: string) => void} actions.onResume
   */
  constructor(actions) {
    this.#actions = actions;
  }

  /**
   * @param {import("./client.js").Overview} overview
   * @param {Map<string, number>} slots   the colours of those drawn
   * @param {string | null} looked
   */
  show({ runs, more, training }, slots, looked) {
    const items = new Map(runs.map((run) => [run.name, this.#items.get(run.name) ?? new RunItem(run.name, this.#actions)]));
    this.#items = items;
    const mayResume = !training.refused && !training.running;
    for (const run of runs) items.get(run.name).show(run, slots.get(run.name), run.name === looked, mayResume);
    const elements = [...items.values()].map((item) => item.element);
    const list = byId("runs");
    if (elements.length !== list.children.length || elements.some((each, i) => each !== list.children[i])) {
      list.replaceChildren(...elements); // only then, since whatever has the focus would lose it
    }
    byId("runs-none").hidden = runs.length > 0;
    byId("runs-more").textContent = more ? `And ${more} older ones.` : "";
  }
}

class RunItem {
  element = document.createElement("li");
  #box = document.createElement("input");
  #swatch = part("span", "swatch");
  #state = part("span", "state");
  #told = part("p", "told");
  #words = part("p", "words");
  #look = button("Look inside");
  #resume = button("Go on");

  /** @param {string} name */
  constructor(name, { onDraw, onLook, onResume }) {
    const label = document.createElement("label");
    Object.assign(this.#box, { type: "checkbox", className: "form-check-input" });
    label.append(this.#box, this.#swatch, part("span", "name", name));
    this.#swatch.setAttribute("aria-hidden", "true");
    const head = part("div", "head");
    head.append(label, this.#state);
    const buttons = part("div", "buttons");
    buttons.append(this.#look, this.#resume);
    this.element.append(head, this.#told, this.#words, buttons);
    this.#look.setAttribute("aria-label", `Look inside ${name}`);
    this.#resume.setAttribute("aria-label", `Go on with ${name}`);
    this.#box.addEventListener("change", () => onDraw(name));
    this.#look.addEventListener("click", () => onLook(name));
    this.#resume.addEventListener("click", () => onResume(name));
  }

  /** @param {Run} run @param {number | undefined} slot @param {boolean} isLooked @param {boolean} mayResume */
  show(run, slot, isLooked, mayResume) {
    const { settings, epoch, state } = run;
    const isBroken = state === "broken";
    this.element.className = isLooked ? "looked" : "";
    this.#box.checked = slot !== undefined;
    this.#box.disabled = isBroken;
    this.#swatch.className = slot === undefined ? "swatch" : `swatch run-${slot}`;
    write(this.#state, STATES[state] ?? state);
    this.#state.className = `state ${state}`;
    const accuracy = run.validation_accuracy === null ? "" : `, ${(100 * run.validation_accuracy).toFixed(1)} % correct`;
    const what = `${settings.model}, learning rate ${settings.learning_rate}, ${settings.optimizer}, seed ${settings.seed}`;
    write(this.#told, isBroken ? "" : `${what}: epoch ${epoch} of ${settings.epochs}${accuracy}`);
    const isGuessing = state === "finished" && run.validation_accuracy !== null && run.validation_accuracy < GUESSING;
    write(this.#words, isGuessing ? "It has learned next to nothing: guessing gives 10 %." : run.words);
    this.#look.hidden = isBroken;
    this.#look.setAttribute("aria-pressed", String(isLooked));
    this.#resume.hidden = !run.resumable || !mayResume;
  }
}

/** @param {string} name @param {string} className @param {string} [words] */
const part = (name, className, words = "") => Object.assign(document.createElement(name), { className, textContent: words });

/** @param {string} words */
const button = (words) => Object.assign(part("button", "btn btn-quiet", words), { type: "button" });

/** Only if it changes, so that a selection stays. @param {HTMLElement} element @param {string} words */
function write(element, words) {
  if (element.textContent !== words) element.textContent = words;
}
