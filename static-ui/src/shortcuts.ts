import { usesSingleKeys } from "./preferences.ts";

/** A letter alone, where no letters are typed and no dialog is open. */
export function isShortcut(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !usesSingleKeys()) return false;
  const target = event.target as HTMLElement;
  return target.closest("input, textarea, select, dialog") === null && document.querySelector("dialog[open]") === null;
}
