/** Tells views that something they show has changed: at most once a frame, however much changed. */
export class Changes {
  #listeners = new Set<() => void>();
  #pending = false;

  readonly notify = (): void => {
    if (this.#pending) return;
    this.#pending = true;
    requestAnimationFrame(() => {
      this.#pending = false;
      for (const listener of this.#listeners) listener();
    });
  };

  /** Call `listener` after changes; the returned function stops that. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
