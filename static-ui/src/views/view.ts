import { LitElement } from "lit";
import type { Services } from "../services.ts";

/** A Lit element in light DOM: one style sheet for the whole page, labels and ids that reach across views. */
export class View extends LitElement {
  protected override createRenderRoot(): HTMLElement {
    return this;
  }
}

/** A view of the shared state: renders again whenever that changed. `services` is set before it is connected. */
export class LiveView extends View {
  static override properties: Record<string, object> = { services: { attribute: false } };
  declare services: Services;
  #unsubscribe: (() => void) | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.#unsubscribe = this.services.changes.subscribe(() => this.requestUpdate());
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#unsubscribe?.();
  }
}
