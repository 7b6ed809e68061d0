/**
 * The list of jobs: which of the known ones it shows, and the reads that keep it whole. Everything from its newest job
 * down to `#end` is known; older pages follow on demand. Pushes bring what is new; after they may have been missed,
 * `refresh` reads again down to the same end.
 */
import { ApiError, type Api } from "./api.ts";
import { type JobFilter, matchesServerPart, matchesText, NO_FILTER, searchesText, serverPart } from "./filter.ts";
import type { Job } from "./model.ts";
import type { JobStore } from "./store.ts";

export const PAGE_SIZE = 100;
/** Pages that one refresh reads; what lies deeper is forgotten, and read again when somebody scrolls there. */
const REFRESH_PAGES = 8;
/** Jobs that the page holds when nobody has scrolled back, and how many may gather before the oldest are forgotten. */
export const KEPT = 2_000;
const SLACK = 1_000;

/** Sorts behind every job id: nothing is known yet. */
const NOTHING = "~";

type ListApi = Pick<Api, "jobs">;

export class Feed {
  filter: JobFilter = NO_FILTER;
  /** True once the list has been read. */
  loaded = false;
  loadingOlder = false;
  /** Why the last read failed; null after one that worked. */
  error: ApiError | null = null;
  /** While somebody reads further down: the newest job that the list shows. Null while it follows what comes. */
  heldAt: string | null = null;
  #api: ListApi;
  #store: JobStore;
  #end = NOTHING;
  /** The newest job up to which none is missing. */
  #completeUpTo = "";
  /** Where older pages can be read on: the token that followed each job. */
  #tokens = new Map<string, string>();
  /** The filter's server part has changed when an answer brings an older number back. */
  #generation = 0;
  /** Jobs newer than `heldAt` were forgotten again, so that a list that is held for hours does not grow. */
  #dropped = 0;
  #pruneAt = KEPT + SLACK;
  #listed: { all: readonly Job[]; jobs: readonly Job[] } | null = null;

  constructor(api: ListApi, store: JobStore) {
    this.#api = api;
    this.#store = store;
  }

  /** The jobs to show, newest first. The same array until something changes. */
  jobs(): readonly Job[] {
    const all = this.#store.newest();
    if (this.#listed?.all !== all) {
      // Before the first answer to a new filter: what matches of all that is known, holes and all.
      const [end, held] = [this.loaded ? this.#end : "", this.heldAt];
      const jobs = all.filter(
        (job) => job.job_id >= end && (held === null || job.job_id <= held) && this.#matches(job),
      );
      this.#listed = { all, jobs };
    }
    return this.#listed.jobs;
  }

  /** How many newer jobs wait for the list to be let go. */
  get waiting(): number {
    const held = this.heldAt;
    if (held === null) return 0;
    const all = this.#store.newest();
    const end = all.findIndex((job) => job.job_id <= held);
    return this.#dropped + all.slice(0, end < 0 ? all.length : end).filter((job) => this.#matches(job)).length;
  }

  get hasOlder(): boolean {
    return this.loaded && this.#end !== "";
  }

  /** Show other jobs. True when they must be read: the API filters by another condition than before. */
  choose(filter: JobFilter): boolean {
    const sameRead = JSON.stringify(serverPart(filter)) === JSON.stringify(serverPart(this.filter));
    this.filter = filter;
    this.#listed = null;
    if (sameRead) return false;
    this.#generation += 1;
    this.#end = NOTHING;
    this.#tokens.clear();
    this.loaded = false;
    this.loadingOlder = false;
    this.error = null;
    this.heldAt = null;
    this.#dropped = 0;
    return true;
  }

  /** Stop at the newest job that is shown now, so that nothing moves. */
  hold(): void {
    this.heldAt ??= this.jobs()[0]?.job_id ?? null;
    this.#listed = null;
  }

  /** Show what comes again. True when the list must be read, because newer jobs were forgotten. */
  release(): boolean {
    const mustRead = this.#dropped > 0;
    this.heldAt = null;
    this.#dropped = 0;
    this.#listed = null;
    return mustRead;
  }

  /** The list is complete now; what is created from here on may be missed. */
  mark(): void {
    this.#completeUpTo = this.#store.newest()[0]?.job_id ?? "";
  }

  /**
   * Read the newest jobs again. With `cut`, what lies deeper than this reads is forgotten: changes of it may have been
   * missed. False when the API did not answer; `error` then says why.
   */
  refresh(cut: boolean): Promise<boolean> {
    return this.#reading(async (isCurrent) => {
      const before = this.#known();
      const answered = new Set<string>();
      let [token, oldest]: [string | null, string] = [null, NOTHING];
      for (let pages = 0; pages < REFRESH_PAGES; pages += 1) {
        const page = await this.#page(token);
        if (!isCurrent()) return;
        for (const job of page.jobs) answered.add(job.job_id);
        ({ token, oldest } = page);
        if (token === null || oldest <= this.#end || this.#end === NOTHING) break;
      }
      // Neither answered nor pushed meanwhile: it has expired, or has gone to a state that the filter leaves out.
      const gone = new Set(before.filter((job) => job.job_id >= oldest && !answered.has(job.job_id)));
      if (gone.size > 0) this.#store.retain((job) => !gone.has(job));
      // A gap of unknown size lies between what was known and what this has read: begin again here.
      const keepsDeeper = !cut && oldest <= this.#completeUpTo && this.#end < oldest;
      if (token === null) this.#setEnd("");
      else if (!keepsDeeper) this.#setEnd(oldest);
      this.loaded = true;
      this.#listed = null;
      this.mark();
    });
  }

  async loadOlder(): Promise<void> {
    if (this.loadingOlder || !this.hasOlder) return;
    this.loadingOlder = true;
    await this.#reading(async (isCurrent) => {
      // Usually the very token that ended the list; after older jobs were forgotten, one from further up.
      const from = [...this.#tokens.keys()].filter((id) => id >= this.#end).sort()[0];
      let token = from === undefined ? null : (this.#tokens.get(from) ?? null);
      let oldest: string;
      do {
        const page = await this.#page(token);
        if (!isCurrent()) return;
        ({ token, oldest } = page);
      } while (token !== null && oldest >= this.#end);
      this.#setEnd(token === null ? "" : oldest);
    });
    this.loadingOlder = false;
  }

  /** Forget what nobody looks at, once enough has gathered: called after every push. */
  prune(): void {
    if (this.#store.size <= this.#pruneAt) return;
    const held = this.heldAt;
    if (held !== null) this.#dropped = this.waiting;
    else this.#setEnd(this.#known()[KEPT - 1]?.job_id ?? this.#end);
    const known = new Set(this.#known());
    this.#store.retain((job) => known.has(job) && (held === null || job.job_id <= held));
    this.#pruneAt = Math.max(KEPT, this.#store.size) + SLACK;
  }

  /** What the list knows, newest first: without holes, whatever text is looked for. */
  #known(): Job[] {
    return this.#store.newest().filter((job) => job.job_id >= this.#end && matchesServerPart(this.filter, job));
  }

  #matches(job: Job): boolean {
    return matchesServerPart(this.filter, job) && (!searchesText(this.filter) || matchesText(this.filter, job));
  }

  #setEnd(end: string): void {
    this.#end = end;
    for (const id of this.#tokens.keys()) {
      if (id < end) this.#tokens.delete(id);
    }
    this.#listed = null;
  }

  async #page(token: string | null): Promise<{ jobs: Job[]; token: string | null; oldest: string }> {
    const { jobs, next_page_token } = await this.#api.jobs(serverPart(this.filter), PAGE_SIZE, token);
    this.#store.upsert(jobs);
    const oldest = jobs.at(-1)?.job_id ?? "";
    if (next_page_token !== null) this.#tokens.set(oldest, next_page_token);
    return { jobs, token: next_page_token, oldest };
  }

  async #reading(read: (isCurrent: () => boolean) => Promise<void>): Promise<boolean> {
    const generation = this.#generation;
    const isCurrent = (): boolean => generation === this.#generation;
    try {
      await read(isCurrent);
      if (isCurrent()) this.error = null;
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (isCurrent()) this.error = error;
      return false;
    }
  }
}
