// Light or dark, before anything is painted: as the system has it, unless this browser was told otherwise.
(() => {
  const KEY = "moneyer-theme";
  const root = document.documentElement;
  const stored = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
  const show = (choice) => {
    if (choice === "light" || choice === "dark") root.dataset.theme = choice;
    else delete root.dataset.theme;
  };
  show(stored());
  root.classList.add("js");

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    if (!button) return;
    const label = () => {
      const now = root.dataset.theme;
      button.setAttribute("aria-label", `Light or dark: ${now ?? "as the system has it"}`);
      button.title = button.getAttribute("aria-label");
    };
    button.hidden = false;
    label();
    button.addEventListener("click", () => {
      const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
      const now = root.dataset.theme;
      // From the system's choice to the other one, then to that one for good, then back to the system's.
      const choice = now === undefined ? (system === "dark" ? "light" : "dark") : now === system ? null : system;
      try {
        if (choice) localStorage.setItem(KEY, choice);
        else localStorage.removeItem(KEY);
      } catch { /* it holds for this page then */ }
      show(choice);
      label();
      document.dispatchEvent(new CustomEvent("moneyer:theme"));
    });
  });
})();
