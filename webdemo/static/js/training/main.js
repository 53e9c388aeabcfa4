// The page on which networks are watched while they learn: what is known of the runs, asked for once a second.

import * as client from "./client.js";
import { CurvesView } from "./curves.js";
import { RunList } from "./list.js";
import { SnapshotView } from "./snapshot.js";
import { StartForm } from "./start.js";
import { Timeline } from "./timeline.js";

const PAUSE = 1000; // milliseconds between two questions; more while nobody looks
const PAUSE_HIDDEN = 5000;
const SLOTS = 6; // as many runs are drawn at once

const byId = (id) => document.getElementById(id);

/** @type {client.Overview | null} */
let overview = null;
/** @type {Map<string, number>} the runs that are drawn, and their colours */
const slots = new Map();
/** @type {Map<string, client.Details>} */
const known = new Map();
/** @type {Map<string, client.Snapshot>} */
const snapshots = new Map();
/** @type {string | null} the run that is looked into */
let looked = null;
let pictured = ""; // whose digits are shown
let timed = ""; // whose epochs the slider goes through
let timer = 0;

const curves = new CurvesView();
const snapshotView = new SnapshotView();
const timeline = new Timeline(() => {
  drawCurves();
  showSnapshot();
});
const list = new RunList({ onDraw: toggle, onLook: lookInto, onResume: (name) => order(() => client.resume(name)) });
const form = new StartForm(
  (settings) => order(() => client.start(settings)),
  () => order(client.stop),
);

/** Ask what there is, draw it, and ask again a moment later. */
async function poll() {
  clearTimeout(timer);
  try {
    const before = overview;
    overview = await client.overview();
    notice(before);
    await Promise.all(overview.runs.filter(isWanted).map(learn));
    render();
    problem("server", "");
  } catch (error) {
    problem("server", error.message);
  }
  clearTimeout(timer);
  timer = setTimeout(poll, document.hidden ? PAUSE_HIDDEN : PAUSE);
}

/** A run that begins is drawn, and looked into, by itself; at first, the newest is. @param {client.Overview | null} before */
function notice(before) {
  const names = new Set(overview.runs.map(({ name }) => name));
  for (const name of [...slots.keys()]) if (!names.has(name)) slots.delete(name);
  if (looked !== null && !names.has(looked)) looked = null;
  const readable = overview.runs.filter(({ state }) => state !== "broken");
  const was = new Map(before?.runs.map(({ name, state }) => [name, state]));
  const begun = before ? readable.filter(({ name, state }) => state === "training" && was.get(name) !== state) : [];
  const newest = readable.find(({ state }) => state === "training") ?? readable[0];
  for (const { name } of begun.length ? begun : looked === null && newest ? [newest] : []) {
    draw(name);
    looked = name;
  }
}

/** @param {client.Run} run */
const isWanted = ({ name, changed }) => (slots.has(name) || name === looked) && known.get(name)?.changed !== changed;

/** @param {client.Run} run */
async function learn({ name }) {
  try {
    known.set(name, await client.details(name));
  } catch (error) {
    if (error.gone) throw error;
    known.delete(name); // it has just been removed
  }
}

/** Give a run a colour; the one drawn longest makes room where there is none. @param {string} name */
function draw(name) {
  if (slots.has(name)) return;
  if (slots.size >= SLOTS) slots.delete(slots.keys().next().value);
  const taken = new Set(slots.values());
  slots.set(name, [...Array(SLOTS).keys()].find((slot) => !taken.has(slot)));
}

/** @param {string} name */
function toggle(name) {
  if (!slots.delete(name)) draw(name);
  poll();
}

/** @param {string} name */
function lookInto(name) {
  looked = name;
  draw(name);
  poll();
}

/** Do something, say what is the matter if it fails, and see what has become of it. @param {() => Promise<unknown>} command */
async function order(command) {
  try {
    await command();
    problem("order", "");
  } catch (error) {
    problem("order", error.message);
  }
  poll();
}

const problems = new Map();

/** @param {string} kind @param {string} words */
function problem(kind, words) {
  problems.set(kind, words);
  const all = [...problems.values()].filter(Boolean).join(" ");
  byId("problem").hidden = !all;
  if (byId("problem-words").textContent !== all) byId("problem-words").textContent = all;
}

function render() {
  list.show(overview, slots, looked);
  form.show(overview);
  const run = looked === null ? undefined : known.get(looked);
  byId("watch").hidden = !slots.size;
  byId("look").hidden = !run;
  if (run) {
    byId("looked").textContent = run.name;
    timeline.show(run.snapshots, timed !== run.name);
    timed = run.name;
    showSnapshot();
  }
  drawCurves();
}

function drawCurves() {
  const shown = [...slots].map(([name, slot]) => ({ run: known.get(name), slot })).filter(({ run }) => run);
  curves.show(shown, looked !== null && known.get(looked)?.snapshots.length ? timeline.epoch : null);
}

/** What was measured after the epoch that the slider is at, in words. */
function measured({ history }) {
  const row = history.epoch.indexOf(timeline.epoch);
  if (row < 0) return "";
  const [share, loss] = ["accuracy", "loss"].map((what) => [history[`validation_${what}`][row], history[`train_${what}`][row]]);
  if ([...share, ...loss].includes(null)) return "";
  const told = [0, 1].map((i) => `${(100 * share[i]).toFixed(1)} % correct, loss ${loss[i].toFixed(3)}`);
  return `Images held out: ${told[0]}. Images it learned from, meanwhile: ${told[1]}.`;
}

/** Show the epoch that the slider is at; while it is asked for, what was shown stays. */
async function showSnapshot() {
  const [name, epoch] = [looked, timeline.epoch];
  byId("measured").textContent = known.has(name) ? measured(known.get(name)) : "";
  if (epoch === null) byId("snapshot").hidden = true;
  if (name === null || epoch === null) return;
  try {
    if (pictured !== name) {
      const { digits } = await client.digits(name);
      if (looked !== name) return;
      pictured = name;
      snapshotView.showDigits(digits);
    }
    const key = `${epoch} ${name}`;
    if (!snapshots.has(key)) snapshots.set(key, await client.snapshot(name, epoch));
    if (looked !== name || timeline.epoch !== epoch) return; // the visitor has moved on
    snapshotView.show(snapshots.get(key));
    byId("snapshot").hidden = false;
    problem("snapshot", "");
  } catch (error) {
    if (looked !== name) return;
    byId("snapshot").hidden = true;
    problem("snapshot", error.message);
  }
}

byId("problem-close").addEventListener("click", () => [...problems.keys()].forEach((kind) => problem(kind, "")));
document.addEventListener("visibilitychange", () => document.hidden || poll());
poll();
