// The form that starts a training, and the button that stops it.

const byId = (id) => document.getElementById(id);

export class StartForm {
  #form = byId("start-form");
  #note = byId("start-note");

  /**
   * @param {(settings: object) => Promise<void>} onStart
   * @param {() => Promise<void>} onStop
   */
  constructor(onStart, onStop) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      onStart(this.#settings());
    });
    byId("stop").addEventListener("click", () => onStop());
    for (const preset of document.querySelectorAll("[data-rate]")) {
      preset.addEventListener("click", () => {
        byId("learning-rate").value = preset.dataset.rate;
      });
    }
  }

  #settings() {
    const number = (id) => Number(byId(id).value);
    return {
      learning_rate: number("learning-rate"),
      optimizer: byId("optimizer").value,
      epochs: number("epochs"),
      seed: number("seed"),
      limit: number("limit") || null,
    };
  }

  /** @param {import("./client.js").Overview} overview */
  show({ runs, training: { running, stopping, refused } }) {
    const isDone = runs.some(({ name, state }) => name === running && state === "finished");
    byId("start").disabled = Boolean(running || refused);
    byId("stop").disabled = !running || stopping;
    const learning = isDone ? `${running} is tested, and its pictures are drawn.` : `Learning: ${running}`;
    const doing = stopping ? `Stopping ${running}: it saves what it has learned.` : learning;
    const words = refused ? `${refused[0].toUpperCase()}${refused.slice(1)}.` : running ? doing : "";
    if (this.#note.textContent !== words) this.#note.textContent = words;
  }
}
