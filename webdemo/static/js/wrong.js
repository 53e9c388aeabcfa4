// "That was wrong": the visitor picks the right digit; what has been kept can be downloaded, or forgotten.

import { Corrections, NotKept } from "./corrections.js";
import { csv, download, idxImages, idxLabels } from "./idx.js";
import { pixelsOf } from "./seen.js";

const byId = (id) => document.getElementById(id);

export class WrongView {
  #corrections = new Corrections();
  #seen = "";
  #onProblem;

  /** @param {(sentence: string) => void} onProblem */
  constructor(onProblem) {
    this.#onProblem = onProblem;
    byId("wrong").addEventListener("click", () => this.#open(byId("right").hidden));
    byId("right").addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault(); // it closes this, and clears nothing
      this.#open(false);
      byId("wrong").focus();
    });
    for (const button of byId("right").querySelectorAll("button")) {
      button.addEventListener("click", () => this.#keep(Number(button.dataset.digit)));
    }
    // A button for each file, because browsers stop at the second file of one click and ask, or say nothing.
    const files = { idx: [idxImages, "train-images-idx3-ubyte"], labels: [idxLabels, "train-labels-idx1-ubyte"] };
    for (const [name, [pack, file]] of Object.entries({ csv: [csv, "corrections.csv"], ...files })) {
      byId(`download-${name}`).addEventListener("click", () => download(pack(this.#corrections.all()), file));
    }
    byId("forget").addEventListener("click", () => byId("forget-dialog").showModal());
    byId("forget-dialog").addEventListener("close", ({ target }) => {
      if (target.returnValue === "forget") this.#change(() => this.#corrections.forget());
      target.returnValue = "";
    });
    this.#corrections.watch(() => this.#count());
    this.#count();
  }

  /** @param {string} [seen]   what the network saw of the digit that can be corrected now; none: there is no such */
  offer(seen = "") {
    if (seen !== this.#seen) {
      this.#open(false);
      byId("kept").textContent = "";
    }
    this.#seen = seen;
    byId("wrong").disabled = !seen;
  }

  /** @param {boolean} open */
  #open(open) {
    byId("right").hidden = !open;
    byId("wrong").setAttribute("aria-expanded", String(open));
    if (open) byId("right").querySelector("button").focus();
  }

  async #keep(label) {
    const pixels = await pixelsOf(this.#seen);
    this.#open(false);
    byId("wrong").focus();
    byId("kept").textContent = `Kept as ${label === 8 ? "an" : "a"} ${label}. Thank you.`;
    this.#change(() => this.#corrections.add({ label, pixels }));
  }

  /** @param {() => void} change   of the corrections */
  #change(change) {
    try {
      change();
    } catch (error) {
      if (!(error instanceof NotKept)) throw error;
      byId("kept").textContent = "";
      this.#onProblem(error.message);
    }
    this.#count();
  }

  #count() {
    const count = this.#corrections.all().length;
    byId("corrections").textContent = String(count);
    byId("corrections-unit").textContent = count === 1 ? "correction" : "corrections";
    for (const id of ["download-csv", "download-idx", "download-labels", "forget"]) byId(id).disabled = count === 0;
  }
}
