// Going through the steps: by buttons, by a slider, by keys, or played.

const PAUSE = 900; // milliseconds that a step is shown while playing

const byId = (id) => document.getElementById(id);

export class Player {
  #count = 0;
  #position = 0;
  #timer = 0;
  #onShow;

  /** @param {(position: number) => void} onShow */
  constructor(onShow) {
    this.#onShow = onShow;
    byId("back").addEventListener("click", () => this.go(this.#position - 1));
    byId("forward").addEventListener("click", () => this.go(this.#position + 1));
    byId("play").addEventListener("click", () => (this.#timer ? this.pause() : this.#play()));
    byId("position").addEventListener("input", ({ target }) => this.go(Number(target.value)));
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  get position() {
    return this.#position;
  }

  /** @param {number} count   of steps; the position stays where it can */
  start(count) {
    this.#count = count;
    byId("position").max = String(count - 1);
    for (const id of ["back", "forward", "play", "position"]) byId(id).disabled = false;
    this.show(Math.min(this.#position, count - 1));
  }

  /** @param {number} position */
  show(position) {
    this.#position = Math.max(0, Math.min(position, this.#count - 1));
    byId("position").value = String(this.#position);
    byId("count").textContent = `${this.#position + 1} of ${this.#count}`;
    this.#onShow(this.#position);
  }

  pause() {
    clearInterval(this.#timer);
    this.#timer = 0;
    byId("play-word").textContent = "Play";
    byId("play").classList.remove("playing");
  }

  /** A visitor goes there himself. @param {number} position */
  go(position) {
    if (!this.#count) return;
    this.pause();
    this.show(position);
  }

  #play() {
    if (!this.#count) return;
    if (this.#position === this.#count - 1) this.show(0);
    byId("play-word").textContent = "Pause";
    byId("play").classList.add("playing");
    this.#timer = setInterval(() => {
      this.show(this.#position + 1);
      if (this.#position === this.#count - 1) this.pause();
    }, PAUSE);
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
    if (event.target.closest("input, select, textarea, pre")) return; // which have a use for arrows
    if (event.key === " " && event.target.closest("button, a, summary")) return;
    const [before, after, last] = [this.#position - 1, this.#position + 1, this.#count - 1];
    const to = { ArrowLeft: before, ArrowRight: after, Home: 0, End: last }[event.key];
    if (to === undefined && event.key !== " ") return;
    event.preventDefault();
    if (to !== undefined) this.go(to);
    else if (!event.repeat) byId("play").click();
  }
}
