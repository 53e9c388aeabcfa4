// The slider through the epochs of a run. At its end it stays at the end, so that a training is followed.

const PACE = 600; // milliseconds between two epochs that are played

const byId = (id) => document.getElementById(id);

export class Timeline {
  #slider = byId("slider");
  #play = byId("play");
  #onMove;
  /** @type {number[]} */
  #epochs = [];
  #timer = 0;

  /** @param {(epoch: number) => void} onMove */
  constructor(onMove) {
    this.#onMove = onMove;
    this.#slider.addEventListener("input", () => this.#moved());
    byId("back").addEventListener("click", () => this.#step(-1));
    byId("forth").addEventListener("click", () => this.#step(1));
    this.#play.addEventListener("click", () => (this.#timer ? this.#pause() : this.#start()));
    document.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      const taken = event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, select, textarea");
      if (!way || taken || event.defaultPrevented) return;
      event.preventDefault();
      this.#step(way);
    });
  }

  /** The epoch that is looked at, if there is any. @returns {number | null} */
  get epoch() {
    return this.#epochs[Number(this.#slider.value)] ?? null;
  }

  /** @param {readonly number[]} epochs   of which there are snapshots @param {boolean} isOther   they are another run's */
  show(epochs, isOther) {
    const follow = isOther || Number(this.#slider.value) >= this.#epochs.length - 1;
    if (isOther) this.#pause();
    this.#epochs = [...epochs];
    this.#slider.max = String(Math.max(0, epochs.length - 1));
    this.#slider.disabled = epochs.length < 2;
    if (follow && !this.#timer) this.#slider.value = this.#slider.max;
    this.#say();
  }

  #moved() {
    this.#say();
    if (this.epoch !== null) this.#onMove(this.epoch);
  }

  #say() {
    const words = { null: "Nothing recorded yet", 0: "Before training" }[this.epoch] ?? `After epoch ${this.epoch}`;
    byId("moment").textContent = words;
    this.#slider.setAttribute("aria-valuetext", words);
    byId("back").disabled = Number(this.#slider.value) === 0;
    byId("forth").disabled = Number(this.#slider.value) >= this.#epochs.length - 1;
    this.#play.disabled = this.#epochs.length < 2;
  }

  #step(way) {
    const place = Number(this.#slider.value) + way;
    if (place < 0 || place >= this.#epochs.length) return;
    this.#slider.value = String(place);
    this.#moved();
  }

  #start() {
    if (Number(this.#slider.value) >= this.#epochs.length - 1) this.#slider.value = "0";
    this.#moved();
    this.#play.textContent = "Pause";
    this.#timer = setInterval(() => {
      this.#step(1);
      if (Number(this.#slider.value) >= this.#epochs.length - 1) this.#pause();
    }, PACE);
  }

  #pause() {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#play.textContent = "Play";
  }
}
