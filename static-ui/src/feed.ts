/** Reads the list of jobs into the store: its first page again whenever pushes may be missing, older pages on demand. */
import { ApiError, type Api } from "./api.ts";
import { isTerminal, type Job } from "./model.ts";
import type { JobStore } from "./store.ts";

const PAGE_SIZE = 50;
/** Single reads in one refresh, for unfinished jobs that the first page no longer holds. */
const SINGLE_READS = 20;

type ListApi = Pick<Api, "jobs" | "job">;

export class Feed {
  /** How many of the newest jobs the page shows; everything in between is known. */
  shown = PAGE_SIZE;
  /** True once the list has been read. */
  loaded = false;
  /** Why the last read failed; null after one that worked. */
  error: ApiError | null = null;
  /** The job that is looked at: kept current however old it is. */
  selected: string | null = null;
  #api: ListApi;
  #store: JobStore;
  #olderPage: string | null = null;
  /** The newest job up to which none is missing; ids sort in the order of creation. */
  #completeUpTo = "";

  constructor(api: ListApi, store: JobStore) {
    this.#api = api;
    this.#store = store;
  }

  jobs(): readonly Job[] {
    return this.#store.newest().slice(0, this.shown);
  }

  get hasOlder(): boolean {
    return this.#olderPage !== null || this.#store.newest().length > this.shown;
  }

  /** Everything the store holds now is complete; what is created from here on may be missed. */
  mark(): void {
    const newest = this.#store.newest()[0];
    if (this.loaded && newest !== undefined) this.#completeUpTo = newest.job_id;
  }

  /** Read what may have been missed. False when the API did not answer; `error` then says why. */
  async refresh(): Promise<boolean> {
    return this.#reading(async () => {
      const page = await this.#api.jobs(PAGE_SIZE);
      const oldest = page.jobs.at(-1);
      if (oldest !== undefined && oldest.job_id > this.#completeUpTo) {
        // More jobs came than a page holds, or this is the first read: begin again at this page.
        this.#store.forgetOlderThan(oldest.job_id, this.selected);
        this.#olderPage = page.next_page_token;
        this.shown = PAGE_SIZE;
      }
      this.#store.upsert(page.jobs);
      await this.#refreshUnfinished(new Set(page.jobs.map((job) => job.job_id)));
      this.loaded = true;
      this.mark();
    });
  }

  async loadOlder(): Promise<boolean> {
    return this.#reading(async () => {
      if (this.#olderPage !== null) {
        const page = await this.#api.jobs(PAGE_SIZE, this.#olderPage);
        this.#olderPage = page.next_page_token;
        this.#store.upsert(page.jobs);
      }
      this.shown += PAGE_SIZE;
    });
  }

  async #refreshUnfinished(fresh: Set<string>): Promise<void> {
    const selected = this.selected === null ? undefined : this.#store.get(this.selected);
    const stale = [...(selected === undefined ? [] : [selected]), ...this.jobs()]
      .filter((job) => !isTerminal(job.state) && !fresh.has(job.job_id))
      .slice(0, SINGLE_READS);
    // One that cannot be read stays as it was and is asked for again by the next refresh.
    const answers = await Promise.allSettled([...new Set(stale)].map((job) => this.#api.job(job.job_id)));
    this.#store.upsert(answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : [])));
  }

  async #reading(read: () => Promise<void>): Promise<boolean> {
    try {
      await read();
      this.error = null;
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.error = error;
      return false;
    }
  }
}
