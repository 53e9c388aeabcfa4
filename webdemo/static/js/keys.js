// Keyboard shortcuts. Each one clicks a button of the page, so that it can do no more than the button may.

const APPLE = /Mac|iP(hone|ad|od)/.test(navigator.platform);

/** @param {KeyboardEvent} event @returns {string | undefined} the id of the button */
function button(event) {
  const key = event.key.toLowerCase();
  if (event.altKey) return undefined;
  if (APPLE ? event.metaKey : event.ctrlKey) {
    if (key === "z") return event.shiftKey ? "redo" : "undo";
    return key === "y" ? "redo" : undefined;
  }
  if (event.ctrlKey || event.metaKey) return undefined;
  if (["delete", "backspace", "escape"].includes(key)) return "clear";
  return key === "enter" ? "predict" : undefined;
}

/** Whether the key already means something where it was pressed. @param {KeyboardEvent} event */
function isTaken({ target, key }) {
  if (target.closest("dialog, textarea, select, [contenteditable]")) return true;
  if (target.matches("input:not([type=range], [type=checkbox], [type=file])")) return true;
  return key === "Enter" && target.closest("button, a, input, summary") !== null;
}

export function listen() {
  document.addEventListener("keydown", (event) => {
    const id = button(event);
    if (!id || event.defaultPrevented || isTaken(event) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    if (!event.repeat || id === "undo" || id === "redo") document.getElementById(id).click();
  });
  if (!APPLE) return;
  const apple = (text) => text.replace("Ctrl+Y", "⇧⌘Z").replace("Ctrl+", "⌘");
  for (const key of document.querySelectorAll("kbd")) key.textContent = apple(key.textContent);
  for (const each of document.querySelectorAll("[aria-keyshortcuts]")) each.title = apple(each.title);
}
