// What the network found, in plain words.

/** @typedef {import("./client.js").Reading} Reading */

const WORTH_NAMING = 0.1; // probability from which a digit is named beside the most probable one
const MOST_NAMED = 3;
const MOST_DOUBTS = 3; // explained one by one
const ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];

/** "?" where the network refuses to see a digit. @param {Reading} reading */
export const sign = ({ verdict, digit }) => (verdict === "not a digit" ? "?" : String(digit));

/** @param {number} share of 1 */
export const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** What it may be, the most probable first. @param {Reading} reading @returns {number[]} */
export const candidates = ({ probabilities }) =>
  probabilities
    .map((probability, digit) => ({ probability, digit }))
    .sort((a, b) => b.probability - a.probability)
    .filter(({ probability }, rank) => rank === 0 || (rank < MOST_NAMED && probability >= WORTH_NAMING))
    .map(({ digit }) => digit);

/** @param {readonly number[]} digits @returns {string} such as "4, 7 or 9" */
const either = (digits) => digits.join(", ").replace(/, (\d)$/, " or $1");

/** @param {Reading} reading @param {string} subject such as "This" or "The second" */
function sentence(reading, subject) {
  if (reading.verdict === "not a digit") return `${subject} does not look like a digit.`;
  if (reading.verdict === "unsure") {
    return `${subject === "This" ? "Might" : `${subject} might`} be ${either(candidates(reading))}.`;
  }
  return `${subject} is ${reading.digit === 8 ? "an" : "a"} ${reading.digit}.`;
}

/** @param {number} i from 0 */
const nth = (i) => (i in ORDINALS ? `The ${ORDINALS[i]}` : `Number ${i + 1}`);

/**
 * @param {readonly Reading[]} readings   in reading order
 * @returns {string} one sentence, and one more for each digit in doubt
 */
export function verdict(readings) {
  if (!readings.length) return "Nothing drawn yet.";
  if (readings.length === 1) return sentence(readings[0], "This");
  if (readings.every((reading) => reading.verdict === "not a digit")) return "These do not look like digits.";
  const doubts = readings.flatMap((reading, i) => (reading.verdict === "digit" ? [] : [sentence(reading, nth(i))]));
  const text = readings.map(sign).join("");
  if (!doubts.length) return `This says ${text}.`;
  const reasons = doubts.length > MOST_DOUBTS ? [`${doubts.length} of them are in doubt.`] : doubts;
  return [`This might say “${text}”.`, ...reasons].join(" ");
}

/** What one of several digits is. @param {Reading} reading @param {number} i @param {number} count */
export const about = (reading, i, count) => `Digit ${i + 1} of ${count}: ${sentence(reading, "This")}`;
