// The server, as the page sees it.

/**
 * @typedef {"digit" | "unsure" | "not a digit"} Verdict
 * @typedef {object} Reading   one digit that was found
 * @property {number} digit
 * @property {number[]} probabilities   of 0 to 9
 * @property {Verdict} verdict
 * @property {[left: number, top: number, width: number, height: number]} [box]   in pixels of the picture sent
 * @property {string} [seen]   what the network saw: the data URL of a picture of 28 x 28 pixels, ink bright
 *
 * @typedef {object} Answer
 * @property {Reading[]} digits   in reading order
 * @property {string} model
 * @property {number} milliseconds   that the server took
 */

const PATIENCE = 15000; // milliseconds

/** Why there is no answer, in a sentence to show. */
export class Problem extends Error {
  /**
   * @param {string} sentence
   * @param {object} [nature]
   * @param {boolean} [nature.gone]   the server cannot be reached
   * @param {number} [nature.retryAfter]   it is busy, and asks to be left alone for so many seconds
   */
  constructor(sentence, { gone = false, retryAfter = 0 } = {}) {
    super(sentence);
    this.gone = gone;
    this.retryAfter = retryAfter;
  }
}

const GONE = "The server does not answer. Is it still running? Your drawing is kept, and the page keeps trying.";

/**
 * @param {HTMLCanvasElement | File} picture   a canvas travels as PNG, without loss; a file as it is
 * @returns {Promise<Answer>}
 * @throws {Problem}
 */
export async function predict(picture) {
  const request = picture instanceof File ? form(picture) : json({ image: picture.toDataURL("image/png") });
  return ask("/api/predict", request, (body) => Array.isArray(body?.digits));
}

/**
 * @param {object} question   as the server describes it at /api/openapi.json
 * @returns {Promise<any>} what the network makes of one digit, layer by layer
 * @throws {Problem}
 */
export const explain = (question) =>
  ask("/api/explain", json(question), (body) => Array.isArray(body?.probabilities));

/** @param {string} address @param {RequestInit} request @param {(body: any) => boolean} makesSense */
async function ask(address, request, makesSense) {
  const response = await post(address, request);
  const body = await response.json().catch(() => null);
  if (response.ok && makesSense(body)) return body;
  const retryAfter = response.status === 503 ? Number(response.headers.get("Retry-After")) || 1 : 0;
  throw new Problem(sentence(body?.detail || `the server sent an answer that makes no sense (${response.status})`), {
    retryAfter,
  });
}

/** @returns {Promise<boolean>} whether the server can read digits now */
export async function isReady() {
  try {
    return (await fetch("/readyz", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) })).ok;
  } catch {
    return false;
  }
}

/** @param {string} words   as the server has them, for any program to show in a place of its own */
const sentence = (words) => `${words[0].toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`;

async function post(address, request) {
  try {
    return await fetch(address, { method: "POST", signal: AbortSignal.timeout(PATIENCE), ...request });
  } catch {
    throw new Problem(GONE, { gone: true });
  }
}

/** @param {object} body */
const json = (body) => ({ headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

/** @param {File} file */
function form(file) {
  const body = new FormData();
  body.append("file", file);
  return { body };
}
