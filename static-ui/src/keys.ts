/** The function key: asked for when the API refuses a call, kept for this tab only, sent to the API and nowhere else. */

export const KEY_HEADER = "x-functions-key";
const SLOT = "dtq.functions-key";

/** Shows the question and resolves with the key, or with null when the person declines. */
export type AskForKey = (refused: boolean) => Promise<string | null>;

export class FunctionKey {
  #ask: AskForKey;
  #asking: Promise<string | null> | null = null;
  #declined = false;

  constructor(ask: AskForKey) {
    this.#ask = ask;
  }

  get(): string | null {
    return sessionStorage.getItem(SLOT);
  }

  forget(): void {
    sessionStorage.removeItem(SLOT);
  }

  headers(): Record<string, string> {
    const key = this.get();
    return key === null ? {} : { [KEY_HEADER]: key };
  }

  /**
   * A key to try instead of the one that was just refused, or null. However many calls are refused at once, there is
   * one question; a person who declined is not asked again.
   */
  async replace(refused: string | null): Promise<string | null> {
    const current = this.get();
    if (current !== refused) return current;
    if (this.#declined) return null;
    this.#asking ??= this.#ask(refused !== null).finally(() => (this.#asking = null));
    const key = await this.#asking;
    if (key === null) this.#declined = true;
    else sessionStorage.setItem(SLOT, key);
    return key;
  }
}
