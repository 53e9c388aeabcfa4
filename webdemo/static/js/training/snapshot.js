// The network after an epoch: its filters as pictures, what it makes of some digits, and what it confuses.

/** @typedef {import("./client.js").Snapshot} Snapshot */

const NO_DIGIT = 10;
const ZERO = [255, 255, 255];
const POSITIVE = [178, 24, 43];
const NEGATIVE = [33, 102, 172];

const byId = (id) => document.getElementById(id);

/** @param {number} label */
const sign = (label) => (label === NO_DIGIT ? "no digit" : String(label));

export class SnapshotView {
  /** The pictures, once for all epochs. @param {{label: number, picture: string}[]} digits */
  showDigits(digits) {
    const items = digits.map(({ label, picture }) => {
      const item = document.createElement("li");
      const image = document.createElement("img");
      Object.assign(image, { src: picture, alt: label === NO_DIGIT ? "no digit" : `a ${label}`, width: 28, height: 28 });
      item.dataset.label = String(label);
      item.append(image, document.createElement("b"), document.createElement("span"));
      return item;
    });
    byId("watched").replaceChildren(...items);
  }

  /** @param {Snapshot} snapshot */
  show({ probabilities, confusion, filters }) {
    this.#verdicts(probabilities);
    this.#confusion(confusion);
    this.#filters(filters);
  }

  #verdicts(probabilities) {
    let right = 0;
    const items = [...byId("watched").children];
    items.forEach((item, i) => {
      const shares = probabilities[i] ?? [];
      const read = shares.indexOf(Math.max(...shares.map((share) => share ?? 0)));
      const isRight = sign(read) === sign(Number(item.dataset.label));
      right += Number(isRight);
      item.className = isRight ? "right" : "wrong";
      item.querySelector("b").textContent = `${isRight ? "✓" : "✗"} ${sign(read)}`;
      item.querySelector("span").textContent = `${Math.round(100 * (shares[read] ?? 0))} %`;
    });
    byId("watched-count").textContent = items.length ? `${right} of ${items.length} read correctly.` : "";
  }

  #confusion(confusion) {
    byId("confusion-none").hidden = confusion !== null;
    byId("confusion").hidden = confusion === null;
    if (!confusion) return;
    const head = row("th", ["was", ...confusion.map((_, label) => sign(label))]);
    head.querySelectorAll("th").forEach((cell) => (cell.scope = "col"));
    const rows = confusion.map((counts, label) => {
      const made = row("td", counts.map(String));
      const first = document.createElement("th");
      first.scope = "row";
      first.textContent = sign(label);
      const total = Math.max(1, counts.reduce((sum, count) => sum + count, 0));
      [...made.children].forEach((cell, read) => {
        cell.className = read === label ? "right" : counts[read] ? "wrong" : "none";
        cell.style.setProperty("--share", `${(45 * Math.sqrt(counts[read] / total)).toFixed(1)}%`);
      });
      made.prepend(first);
      return made;
    });
    byId("confusion").tHead.replaceChildren(head);
    byId("confusion").tBodies[0].replaceChildren(...rows);
  }

  #filters(filters) {
    const place = byId("filters");
    const most = Math.max(...(filters ?? []).flat(2).map(Math.abs), 1e-9);
    const pictures = (filters ?? []).map((filter) => picture(filter, most));
    place.replaceChildren(...pictures);
    place.setAttribute("aria-label", filters ? `${filters.length} filters of ${filters[0].length} × ${filters[0][0].length} weights, as pictures` : "No filters");
    byId("filters-range").textContent = filters ? `The strongest colour is ±${most.toFixed(2)}.` : "";
  }
}

/** White is zero, red positive, blue negative. @param {(number | null)[][]} filter @param {number} most */
function picture(filter, most) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: filter[0].length, height: filter.length });
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  filter.flat().forEach((weight, i) => {
    const share = Math.abs(weight ?? 0) / most;
    const colour = weight > 0 ? POSITIVE : NEGATIVE;
    ZERO.forEach((zero, channel) => (image.data[4 * i + channel] = zero + share * (colour[channel] - zero)));
    image.data[4 * i + 3] = 255;
  });
  context.putImageData(image, 0, 0);
  return canvas;
}

/** @param {"td" | "th"} kind @param {string[]} texts */
function row(kind, texts) {
  const made = document.createElement("tr");
  for (const text of texts) made.append(Object.assign(document.createElement(kind), { textContent: text }));
  return made;
}
