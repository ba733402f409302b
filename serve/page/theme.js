// Light or dark: what the system says, until somebody presses the button.

const STORED = "millrace.theme";

export function setUpTheme(button) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const show = () => button.setAttribute("aria-pressed", String(isDark(system)));
  const kept = recall();
  if (kept) document.documentElement.dataset.theme = kept;
  button.addEventListener("click", () => {
    const next = isDark(system) ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    keep(next);
    show();
    document.dispatchEvent(new Event("themechange"));
  });
  system.addEventListener("change", show);
  show();
}

function isDark(system) {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : system.matches;
}

// Storage can be switched off in the browser; then the choice lasts as long as the page.
function recall() {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}

function keep(value) {
  try {
    localStorage.setItem(STORED, value);
  } catch {
    return;
  }
}
