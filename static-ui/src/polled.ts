/** A part of the API that nobody pushes: read again and again while a view shows it and somebody looks at the page. */
import { ApiError } from "./api.ts";

const LONGEST_WAIT_MS = 60_000;

export class Polled<T> {
  /** The last answer; kept while later reads fail, so that a view can go on to show it. */
  value: T | null = null;
  /** Why the last read failed; null after one that worked. */
  error: ApiError | null = null;
  #read: () => Promise<T>;
  #everyMs: number;
  #onChange: () => void;
  #watchers = 0;
  #timer: number | undefined;
  #reading = false;
  #again = false;
  #failures = 0;

  constructor(read: () => Promise<T>, everyMs: number, onChange: () => void) {
    this.#read = read;
    this.#everyMs = everyMs;
    this.#onChange = onChange;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.#watchers > 0) void this.refresh();
    });
  }

  /** False once the server has said that it has no such call. */
  get isOffered(): boolean {
    return this.error?.isUnknownCall !== true;
  }

  /** Read now and then regularly, until the returned function is called as often as this one was. */
  watch(): () => void {
    this.#watchers += 1;
    if (this.#watchers === 1) void this.refresh();
    let isWatching = true;
    return () => {
      if (!isWatching) return;
      isWatching = false;
      this.#watchers -= 1;
      if (this.#watchers === 0) window.clearTimeout(this.#timer);
    };
  }

  /** Read now; what is on its way already may be older than what the caller has just done, so it is read once more. */
  async refresh(): Promise<void> {
    if (this.#reading) {
      this.#again = true;
      return;
    }
    window.clearTimeout(this.#timer);
    this.#reading = true;
    do {
      this.#again = false;
      await this.#readOnce();
    } while (this.#again);
    this.#reading = false;
    this.#onChange();
    if (this.#watchers > 0) this.#schedule();
  }

  async #readOnce(): Promise<void> {
    try {
      this.value = await this.#read();
      this.error = null;
      this.#failures = 0;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.error = error;
      this.#failures += 1;
    }
  }

  #schedule(): void {
    const wait = this.isOffered ? Math.min(this.#everyMs * 2 ** this.#failures, LONGEST_WAIT_MS) : LONGEST_WAIT_MS;
    this.#timer = window.setTimeout(() => {
      // A page that nobody sees asks for nothing.
      if (!document.hidden) void this.refresh();
    }, wait);
  }
}
