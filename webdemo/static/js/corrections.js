// "That was wrong": what visitors say a picture really shows, kept in their browser and nowhere else.

import { pack, unpack } from "./bytes.js";

const KEY = "nncore-corrections";

/** @typedef {import("./idx.js").Example} Example */

/** Thrown where an example cannot be kept; its message is a sentence to show. */
export class NotKept extends Error {}

export class Corrections {
  /** @type {readonly Example[]} where the browser keeps nothing, these last as long as the page */
  #unkept = [];

  /** Read anew each time, because another tab may have added to them. @returns {readonly Example[]} */
  all() {
    let text;
    try {
      text = localStorage.getItem(KEY);
    } catch {
      return this.#unkept;
    }
    try {
      return JSON.parse(text ?? "[]").map(([label, packed]) => ({ label, pixels: unpack(packed) }));
    } catch {
      return []; // not ours, or spoilt
    }
  }

  /**
   * A picture has one label: a later correction of the same picture replaces the earlier one.
   * @param {Example} example
   * @throws {NotKept}
   */
  add(example) {
    const packed = pack(example.pixels);
    this.#keep([...this.all().filter(({ pixels }) => pack(pixels) !== packed), example]);
  }

  forget() {
    this.#keep([]);
  }

  /** @param {readonly Example[]} examples */
  #keep(examples) {
    try {
      localStorage.setItem(KEY, JSON.stringify(examples.map(({ label, pixels }) => [label, pack(pixels)])));
    } catch (error) {
      if (error.name === "QuotaExceededError") {
        throw new NotKept("Your browser has no room for more corrections. Download them, then forget them.");
      }
      this.#unkept = examples;
      throw new NotKept("Your browser keeps nothing for this page: download your corrections before you leave it.");
    }
  }

  /** @param {() => void} onChange   another tab has added or forgotten some */
  watch(onChange) {
    addEventListener("storage", (event) => {
      if (event.key === KEY || event.key === null) onChange();
    });
  }
}
