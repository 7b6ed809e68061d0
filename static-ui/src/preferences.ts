/** What a person chose for this browser. `theme.js` reads the theme before the first paint. */

const THEME = "dtq.theme";
const KEYS = "dtq.single-keys";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

export function theme(): Theme {
  return THEMES.find((each) => each === localStorage.getItem(THEME)) ?? "system";
}

export function setTheme(next: Theme): void {
  localStorage.setItem(THEME, next);
  if (next === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = next;
}

/** Whether a letter alone does something; who dictates or types by accident turns it off (WCAG 2.1.4). */
export function usesSingleKeys(): boolean {
  return localStorage.getItem(KEYS) !== "off";
}

export function setSingleKeys(on: boolean): void {
  localStorage.setItem(KEYS, on ? "on" : "off");
}
