// Light or dark: what the system says, until a visitor chooses otherwise. Loaded before the page is painted, and
// therefore not a module, so that a dark page never flashes white.
(() => {
  const KEY = "nncore-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");

  /** @returns {string | null} what the visitor chose, if the browser keeps such things */
  function chosen() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  }

  function apply() {
    document.documentElement.dataset.bsTheme = chosen() ?? (system.matches ? "dark" : "light");
  }

  function toggle() {
    const theme = document.documentElement.dataset.bsTheme === "dark" ? "light" : "dark";
    document.documentElement.dataset.bsTheme = theme;
    try {
      // Whoever chooses what the system says anyway follows the system from then on.
      if (theme === (system.matches ? "dark" : "light")) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, theme);
    } catch {
      // Not kept: the choice lasts as long as the page.
    }
  }

  apply();
  system.addEventListener("change", apply);
  addEventListener("storage", apply);
  addEventListener("DOMContentLoaded", () => document.getElementById("theme").addEventListener("click", toggle));
})();
