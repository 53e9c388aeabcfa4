// What was, what is, and what was taken back. Nothing here is ever changed: each step gives a new history.

/**
 * @template T
 * @typedef {{readonly past: readonly T[], readonly present: T, readonly future: readonly T[]}} History
 */

/** @template T @param {T} present @returns {History<T>} */
export const begin = (present) => ({ past: [], present, future: [] });

/** @template T @param {History<T>} history @param {T} next @returns {History<T>} */
export const step = ({ past, present }, next) => ({ past: [...past, present], present: next, future: [] });

/** @template T @param {History<T>} history @returns {History<T>} the same one where there is nothing to undo */
export function undo(history) {
  const { past, present, future } = history;
  if (!past.length) return history;
  return { past: past.slice(0, -1), present: past[past.length - 1], future: [present, ...future] };
}

/** @template T @param {History<T>} history @returns {History<T>} the same one where there is nothing to redo */
export function redo(history) {
  const { past, present, future } = history;
  if (!future.length) return history;
  return { past: [...past, present], present: future[0], future: future.slice(1) };
}
