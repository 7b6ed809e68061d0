import { render } from "lit-html";
import { ApiError } from "../api.ts";
import type { Polled } from "../polled.ts";
import type { Services } from "../services.ts";

/** The values before the last change of each property. */
export type Changed = ReadonlyMap<string, unknown>;

/**
 * An element that renders a template into itself whenever one of its properties changed, once for all changes of a
 * moment. In light DOM: one style sheet for the whole page, labels and ids that reach across views. That is all this
 * page needs of LitElement, at a fifth of its size.
 */
export abstract class View extends HTMLElement {
  /** The names of the properties that make it render again; subclasses `declare` them. */
  static properties: readonly string[] = [];
  #values = new Map<string, unknown>();
  #changed = new Map<string, unknown>();
  #update: Promise<void> | null = null;
  #wasRendered = false;

  /** Give the properties their accessors, and the element its name in templates. */
  static define(name: string, view: (new () => View) & { properties: readonly string[] }): void {
    for (const property of view.properties) {
      Object.defineProperty(view.prototype, property, {
        get(this: View): unknown {
          return this.#values.get(property);
        },
        set(this: View, value: unknown) {
          const before = this.#values.get(property);
          if (before === value) return;
          this.#values.set(property, value);
          if (!this.#changed.has(property)) this.#changed.set(property, before);
          this.requestUpdate();
        },
      });
    }
    customElements.define(name, view);
  }

  connectedCallback(): void {
    this.requestUpdate();
  }

  disconnectedCallback(): void {}

  /** Render soon; without effect while the element is not in the page. */
  requestUpdate(): void {
    this.#update ??= Promise.resolve().then(() => this.#perform());
  }

  /** Settles when what was asked for is rendered. */
  get updateComplete(): Promise<void> {
    return this.#update ?? Promise.resolve();
  }

  protected abstract render(): unknown;

  /** Before each rendering: derive what it needs. */
  protected willUpdate(_changed: Changed): void {}

  /** After the first rendering. */
  protected firstUpdated(): void {}

  /** After each rendering. */
  protected updated(_changed: Changed): void {}

  #perform(): void {
    if (!this.isConnected) {
      this.#update = null;
      return;
    }
    const changed = this.#changed;
    this.willUpdate(changed);
    this.#changed = new Map();
    // What changes from here on asks for another rendering.
    this.#update = null;
    render(this.render(), this, { host: this });
    if (!this.#wasRendered) {
      this.#wasRendered = true;
      this.firstUpdated();
    }
    this.updated(changed);
  }
}

/** A view of the shared state: renders again whenever that changed. `services` is set before it is connected. */
export abstract class LiveView extends View {
  static override properties: readonly string[] = ["services", "busy"];
  declare services: Services;
  /** What the person has just asked for and is not done yet; empty when nothing is. */
  declare busy: string;
  #releases: (() => void)[] = [];

  constructor() {
    super();
    this.busy = "";
  }

  /** What is read for as long as this view is there. */
  protected get reads(): Polled<unknown>[] {
    return [];
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const watches = this.reads.map((polled) => polled.watch());
    this.#releases = [this.services.changes.subscribe(() => this.requestUpdate()), ...watches];
  }

  override disconnectedCallback(): void {
    for (const release of this.#releases) release();
  }

  /** Do one thing at a time, and tell what came of it: the text that `action` returns, or why the API refused. */
  protected async act(name: string, action: () => Promise<string>): Promise<void> {
    if (this.busy !== "") return;
    this.busy = name;
    try {
      this.services.say(await action());
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.services.say(error.message, true);
    } finally {
      this.busy = "";
    }
  }
}
