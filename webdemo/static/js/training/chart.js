// A chart of lines, as SVG: axes with round numbers, any number of lines, and a mark that goes through time.

/**
 * @typedef {object} Line
 * @property {number} slot   which colour
 * @property {boolean} faint   thin, as the noisy values within an epoch are
 * @property {[x: number, y: number | null][]} points   a line is broken where a value is no number
 *
 * @typedef {object} Content
 * @property {Line[]} lines
 * @property {number} end   of the x axis, which begins at 0
 * @property {number | null} mark   a place on it
 * @property {number} [top]   of the y axis; else as high as the values are
 * @property {boolean} [mayBeLogarithmic]   where the values differ very much
 * @property {(value: number) => string} format   of the numbers beside the y axis
 */

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 210;
const SPACE = { left: 52, right: 10, top: 8, bottom: 24 };
const WIDE = 30; // a logarithmic scale is used where the largest value is so many times the smallest

export class Chart {
  #svg = element("svg", { role: "img" });
  /** @type {Content | null} */
  #content = null;

  /** @param {HTMLElement} place */
  constructor(place) {
    place.append(this.#svg);
    new ResizeObserver(() => this.#paint()).observe(place);
  }

  /** @param {Content} content @param {string} words   that say the same to who cannot see it */
  draw(content, words) {
    this.#content = content;
    this.#svg.setAttribute("aria-label", words);
    this.#paint();
  }

  #paint() {
    const width = this.#svg.parentElement.clientWidth;
    if (!this.#content || !width) return;
    const { lines, end, mark, top, mayBeLogarithmic, format } = this.#content;
    const values = lines.flatMap(({ points }) => points.map(([, y]) => y)).filter((y) => y !== null);
    const scale = verticalScale(values, top, mayBeLogarithmic);
    const x = (value) => SPACE.left + (value / (end || 1)) * (width - SPACE.left - SPACE.right);
    const y = (value) => HEIGHT - SPACE.bottom - scale.share(value) * (HEIGHT - SPACE.top - SPACE.bottom);
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.#svg.setAttribute("height", String(HEIGHT));
    const parts = [];
    for (const value of scale.ticks) {
      parts.push(element("line", { class: "grid", x1: x(0), x2: x(end || 1), y1: y(value), y2: y(value) }));
      parts.push(text(format(value), { x: SPACE.left - 6, y: y(value) + 4, "text-anchor": "end" }));
    }
    const room = Math.max(2, Math.floor((width - SPACE.left) / 45));
    for (const value of ticks(0, end || 1, room).filter(Number.isInteger)) {
      parts.push(text(String(value), { x: x(value), y: HEIGHT - 7, "text-anchor": "middle" }));
    }
    if (mark !== null) {
      parts.push(element("line", { class: "mark", x1: x(mark), x2: x(mark), y1: SPACE.top, y2: HEIGHT - SPACE.bottom }));
    }
    for (const { slot, faint, points } of lines) {
      const kind = `run-${slot} ${faint ? "faint" : "firm"}`;
      parts.push(element("path", { class: kind, d: path(points, x, y) }));
      if (faint) continue;
      for (const [at, value] of points) {
        if (value !== null) parts.push(element("circle", { class: kind, cx: x(at), cy: y(value), r: 3 }));
      }
    }
    this.#svg.replaceChildren(...parts);
  }
}

/** @param {number[]} values @param {number} [top] @param {boolean} [mayBeLogarithmic] */
function verticalScale(values, top, mayBeLogarithmic) {
  const low = Math.min(...values, top ?? Infinity);
  const high = top ?? Math.max(...values, -Infinity);
  if (!values.length || low === high) return { share: () => 0.5, ticks: values.length ? [low] : [] };
  if (mayBeLogarithmic && low > 0 && high / low > WIDE) {
    const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
    const every = Math.ceil((last - first) / 6);
    const powers = Array.from({ length: Math.floor((last - first) / every) + 1 }, (_, i) => 10 ** (first + i * every));
    return { share: (value) => (Math.log10(value) - first) / (last - first), ticks: powers };
  }
  const floor = top === undefined ? Math.min(0, low) : low;
  const round = ticks(floor, high, 5);
  const bottom = top === undefined ? floor : Math.max(0, low - (high - low) * 0.05);
  const ceiling = top ?? high * 1.04;
  return { share: (value) => (value - bottom) / (ceiling - bottom), ticks: round };
}

/** Some four to seven round numbers from `low` to `high`. @param {number} low @param {number} high @param {number} most */
function ticks(low, high, most) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** @param {[number, number | null][]} points */
function path(points, x, y) {
  let pen = "M";
  let commands = "";
  for (const [at, value] of points) {
    if (value === null) {
      pen = "M";
      continue;
    }
    commands += `${pen}${x(at).toFixed(1)},${y(value).toFixed(1)}`;
    pen = "L";
  }
  return commands;
}

/** @param {string} name @param {Record<string, unknown>} attributes */
function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, String(value));
  return made;
}

/** @param {string} words @param {Record<string, unknown>} attributes */
function text(words, attributes) {
  const made = element("text", attributes);
  made.textContent = words;
  return made;
}
