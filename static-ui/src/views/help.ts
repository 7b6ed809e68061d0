import { html, nothing } from "lit-html";
import { setSingleKeys, usesSingleKeys } from "../preferences.ts";
import type { Services } from "../services.ts";
import { openDialog } from "./dialog.ts";

const SHORTCUTS: [keys: string, what: string][] = [
  ["/", "search the jobs"],
  ["n", "new job"],
  ["j k ↓ ↑", "next and previous job in the list"],
  ["Enter", "open the job"],
  ["?", "this help"],
  ["Esc", "close a dialog, leave the search"],
];

export function showHelp({ api, key }: Services): void {
  const dialog = openDialog(
    "Help",
    html`<dl class="facts">
        ${SHORTCUTS.map(
          ([keys, what]) => html`<dt>${keys.split(" ").map((each) => html`<kbd>${each}</kbd> `)}</dt>
            <dd>${what}</dd>`,
        )}
      </dl>
      <p class="field-boolean">
        <input id="single-keys" type="checkbox" .checked=${usesSingleKeys()}
          @change=${(event: Event) => setSingleKeys((event.target as HTMLInputElement).checked)} />
        <label for="single-keys">Use shortcuts of a single letter</label>
      </p>
      <p><a href=${`${api.base}/../docs`} target="_blank">The HTTP API</a></p>
      <p class="actions">
        <button type="button" class="primary" @click=${() => dialog.close()}>Close</button>
        ${key.get() === null
          ? nothing
          : html`<button type="button" @click=${() => (key.forget(), dialog.close())}>Forget the function key</button>`}
      </p>`,
  );
}
