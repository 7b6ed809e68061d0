import { exactTime, relativeTime } from "../format.ts";

const TICK_MS = 1_000;

/** `<relative-time datetime="…">`: how long ago, kept current by one timer for all; the exact time on hover. */
export class RelativeTime extends HTMLElement {
  static observedAttributes = ["datetime"];
  static #shown = new Set<RelativeTime>();
  static #timer: number | undefined;

  connectedCallback(): void {
    RelativeTime.#shown.add(this);
    RelativeTime.#timer ??= window.setInterval(() => RelativeTime.#tick(), TICK_MS);
    this.#update();
  }

  disconnectedCallback(): void {
    RelativeTime.#shown.delete(this);
    if (RelativeTime.#shown.size > 0) return;
    window.clearInterval(RelativeTime.#timer);
    RelativeTime.#timer = undefined;
  }

  attributeChangedCallback(): void {
    this.title = exactTime(this.getAttribute("datetime") ?? "");
    this.#update();
  }

  static #tick(): void {
    for (const each of RelativeTime.#shown) each.#update();
  }

  #update(): void {
    const text = relativeTime(this.getAttribute("datetime") ?? "", Date.now());
    if (this.textContent !== text) this.textContent = text;
  }
}

customElements.define("relative-time", RelativeTime);
