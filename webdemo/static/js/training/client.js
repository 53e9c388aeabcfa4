// The server, as the page on trainings sees it.

import { Problem } from "../client.js";

/**
 * @typedef {"training" | "finished" | "stopped" | "failed" | "silent" | "broken"} State
 *
 * @typedef {object} Run   as a list has it
 * @property {string} name
 * @property {State} state
 * @property {string} words   why it failed, or what is broken
 * @property {boolean} resumable
 * @property {Record<string, string | number | null>} settings
 * @property {number} epoch   how many are done
 * @property {number | null} validation_accuracy   after the last of them
 * @property {number} began   seconds since 1970
 * @property {string} changed   another text whenever something was written
 *
 * @typedef {Record<string, (number | null)[]>} Columns
 * @typedef {Run & {history: Columns, live: Columns, snapshots: number[]}} Details
 *
 * @typedef {object} Snapshot   the network after an epoch
 * @property {number} epoch
 * @property {(number | null)[][]} probabilities   of each class, for each of the digits watched
 * @property {number[][] | null} confusion   rows are the true classes
 * @property {(number | null)[][][] | null} filters
 *
 * @typedef {{runs: Run[], more: number, training: {running: string | null, stopping: boolean, refused: string | null}}} Overview
 */

const PATIENCE = 15000; // milliseconds
const GONE = "The server does not answer. Is it still running? This page keeps trying.";

/** @param {string} name */
const address = (name) => `/api/runs/${encodeURIComponent(name)}`;

/** @returns {Promise<Overview>} */
export const overview = () => ask("/api/runs");

/** @param {string} name @returns {Promise<Details>} */
export const details = (name) => ask(address(name));

/** @param {string} name @returns {Promise<{digits: {label: number, picture: string}[]}>} */
export const digits = (name) => ask(`${address(name)}/digits`);

/** @param {string} name @param {number} epoch @returns {Promise<Snapshot>} */
export const snapshot = (name, epoch) => ask(`${address(name)}/epochs/${epoch}`);

/** @param {object} settings @returns {Promise<{name: string}>} */
export const start = (settings) => ask("/api/training", settings);

export const stop = () => ask("/api/training/stop", {});

/** @param {string} name */
export const resume = (name) => ask(`${address(name)}/resume`, {});

/**
 * @param {string} path
 * @param {object} [body]   where something is to be done
 * @throws {Problem}
 */
async function ask(path, body) {
  const request = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  let response;
  try {
    response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE), ...request });
  } catch {
    throw new Problem(GONE, { gone: true });
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer) return answer;
  const words = answer?.detail || `the server sent an answer that makes no sense (${response.status})`;
  throw new Problem(`${words[0].toUpperCase()}${words.slice(1)}.`);
}
