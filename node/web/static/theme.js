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
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      const choice = dark ? "light" : "dark";
      try { localStorage.setItem(KEY, choice); } catch { /* it holds for this page then */ }
      show(choice);
      label();
      document.dispatchEvent(new CustomEvent("moneyer:theme"));
    });
  });
})();
