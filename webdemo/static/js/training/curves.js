// The curves of one run or several: loss, accuracy, learning rate.

import { Chart } from "./chart.js";

/** @typedef {import("./client.js").Details} Details */

const byId = (id) => document.getElementById(id);

/** @param {number} value */
const short = (value) => (value && (Math.abs(value) >= 1e4 || Math.abs(value) < 1e-3) ? value.toExponential(0) : String(value));

/** @param {number} value */
const percent = (value) => `${Number((100 * value).toFixed(1))} %`;

const CHARTS = [
  { id: "loss", name: "Loss", live: "loss", train: "train_loss", check: "validation_loss", format: short, mayBeLogarithmic: true },
  { id: "accuracy", name: "Accuracy", live: "accuracy", train: "train_accuracy", check: "validation_accuracy", format: percent, top: 1 },
  { id: "rate", name: "Learning rate", live: "learning_rate", train: "learning_rate", check: null, format: short },
];

export class CurvesView {
  #charts = CHARTS.map(({ id }) => new Chart(byId(id)));

  /**
   * @param {{run: Details, slot: number}[]} shown
   * @param {number | null} mark   the epoch that is looked at
   */
  show(shown, mark) {
    const end = Math.max(1, ...shown.map(({ run }) => length(run)));
    CHARTS.forEach(({ name, live, train, check, format, top, mayBeLogarithmic }, i) => {
      const lines = shown.flatMap(({ run, slot }) => {
        const inside = run.live.epoch.length ? pairs(run.live, live) : pairs(run.history, train);
        const after = check ? [{ slot, faint: false, points: pairs(run.history, check) }] : [];
        return [{ slot, faint: true, points: inside }, ...after];
      });
      this.#charts[i].draw({ lines, end, mark, top, mayBeLogarithmic, format }, inWords(name, shown, check ?? train, format));
    });
    this.#legend(shown);
  }

  /** Which colour is which run: its name and the settings in which those shown differ. */
  #legend(shown) {
    const runs = shown.map(({ run }) => run);
    const items = shown.map(({ run, slot }) => {
      const item = document.createElement("li");
      const swatch = document.createElement("span");
      swatch.className = `swatch run-${slot}`;
      swatch.setAttribute("aria-hidden", "true");
      item.append(swatch, `${run.name}: ${differences(run, runs)}`);
      return item;
    });
    byId("legend").replaceChildren(...items);
  }
}

/** @param {Details} run @param {Details[]} runs */
function differences(run, runs) {
  const names = Object.keys(run.settings);
  const differ = names.filter((name) => runs.some((other) => other.settings[name] !== run.settings[name]));
  const told = differ.length ? differ : ["learning_rate", "optimizer", "epochs"].filter((name) => names.includes(name));
  if (runs.length > 1 && !differ.length) return "the same settings";
  return told.map((name) => setting(name, run.settings[name])).join(", ");
}

/** A setting as the form has it. @param {string} name @param {string | number | null} value */
const setting = (name, value) =>
  name === "limit" ? `${value?.toLocaleString("en") ?? "all"} images` : `${name.replace("_", " ")} ${value ?? "none"}`;

/** How many epochs there are to be, or where it ends early, were. @param {Details} run */
const length = ({ state, settings, epoch, live }) =>
  state === "training" ? Number(settings.epochs) : Math.max(epoch, Math.ceil(live.epoch[live.epoch.length - 1] ?? 0));

/** @param {import("./client.js").Columns} columns @param {string} name */
const pairs = (columns, name) => columns.epoch.map((epoch, i) => [epoch, columns[name][i]]);

function inWords(name, shown, column, format) {
  const each = shown.map(({ run }) => {
    const values = run.history[column].filter((value) => value !== null);
    return `${run.name}: ${values.length ? `from ${format(values[0])} to ${format(values[values.length - 1])}` : "none yet"}`;
  });
  return `${name} after each epoch. ${each.join(". ")}`;
}
