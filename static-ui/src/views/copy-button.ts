import { html, nothing, type TemplateResult } from "lit-html";
import { View } from "./view.ts";

const SHOWN_MS = 1_500;

/** A button that copies `text`; `label` says what. Hidden where the browser keeps the clipboard from us (plain http). */
class CopyButton extends View {
  static override properties = ["text", "label", "copied"];
  declare text: string;
  declare label: string;
  declare copied: boolean;

  protected override render(): TemplateResult | typeof nothing {
    if (!window.isSecureContext) return nothing;
    return html`<button type="button" class="quiet" aria-label=${this.label} @click=${this.#copy}>
      ${this.copied ? "Copied" : "Copy"}
    </button>`;
  }

  async #copy(): Promise<void> {
    await navigator.clipboard.writeText(this.text);
    this.copied = true;
    window.setTimeout(() => (this.copied = false), SHOWN_MS);
  }
}

View.define("copy-button", CopyButton);
