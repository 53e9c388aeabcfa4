// What the browser remembers of a visitor's choices; where it keeps nothing they last as long as the page.

/** @param {string} name @param {string} otherwise */
export function recall(name, otherwise) {
  try {
    return localStorage.getItem(`nncore-${name}`) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** @param {string} name @param {string} value */
export function remember(name, value) {
  try {
    localStorage.setItem(`nncore-${name}`, value);
  } catch {
    // Then not.
  }
}
