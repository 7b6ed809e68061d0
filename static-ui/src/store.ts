/**
 * Every job the page knows, by id. Pushes arrive out of order and twice, and a read can be older than a push that
 * overtook it: `merge` decides which of two versions of a job is the later one.
 */
import { isTerminal, type Job } from "./model.ts";

/** Versions of one job that are kept for its view; a job that reports more often loses its oldest ones. */
const MOST_VERSIONS = 200;

/**
 * A time as text that sorts in time order. `Date` keeps milliseconds only, and the API leaves out a fraction that is
 * zero, so neither `Date.parse` nor the text as it came can order two versions of one job.
 */
export function sortableTime(time: string): string {
  const [, seconds, fraction = ""] = /^([^.Z+]*)(?:\.(\d+))?/.exec(time) ?? [];
  return `${seconds}.${fraction.padEnd(9, "0")}`;
}

function isLater(next: Job, known: Job): boolean {
  const [a, b] = [sortableTime(next.updated_at), sortableTime(known.updated_at)];
  if (a !== b) return a > b;
  if (isTerminal(known.state) !== isTerminal(next.state)) return isTerminal(next.state);
  if (next.attempt !== known.attempt) return next.attempt > known.attempt;
  return next.progress > known.progress;
}

/**
 * The version to keep. The later `updated_at` wins; at the same instant the one that is further on. So an ended job
 * comes back to life only by a version made after its end (an explicit retry), and within one attempt progress never
 * falls.
 */
export function merge(known: Job | undefined, next: Job): Job {
  if (known === undefined) return next;
  if (!isLater(next, known)) return known;
  const sameAttempt = next.state === "running" && known.state === "running" && next.attempt === known.attempt;
  return sameAttempt && next.progress < known.progress ? { ...next, progress: known.progress } : next;
}

export class JobStore {
  /** The job whose versions are kept, and that is never forgotten: the one that is looked at. */
  watched = "";
  #versions: Job[] = [];
  #jobs = new Map<string, Job>();
  /** In ascending order, so that a new job goes to the end: ids are UUIDv7 and sort in the order of creation. */
  #ids: string[] = [];
  #newest: Job[] | null = null;
  #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#jobs.size;
  }

  get(jobId: string): Job | undefined {
    return this.#jobs.get(jobId);
  }

  /** Keep the versions of this job from now on. */
  watch(jobId: string): void {
    if (this.watched === jobId) return;
    const known = this.#jobs.get(jobId);
    this.watched = jobId;
    this.#versions = known === undefined ? [] : [known];
  }

  /** Each version of the watched job that was seen, oldest first: one push may carry several. */
  get versions(): readonly Job[] {
    return this.#versions;
  }

  /** All known jobs, newest first: the order of the API's listing. The array stays the same one until a job changes. */
  newest(): readonly Job[] {
    this.#newest ??= this.#ids.map((id) => this.#jobs.get(id)).filter((job) => job !== undefined).reverse();
    return this.#newest;
  }

  upsert(jobs: readonly Job[]): void {
    let changed = false;
    for (const job of jobs) {
      const known = this.#jobs.get(job.job_id);
      const kept = merge(known, job);
      if (kept === known) continue;
      if (known === undefined) this.#insertId(job.job_id);
      this.#jobs.set(job.job_id, kept);
      if (job.job_id === this.watched) this.#versions = [...this.#versions, kept].slice(-MOST_VERSIONS);
      changed = true;
    }
    if (changed) this.#changed();
  }

  /** Forget all jobs but these and the watched one. */
  retain(keep: (job: Job) => boolean): void {
    for (const [id, job] of this.#jobs) {
      if (id !== this.watched && !keep(job)) this.#jobs.delete(id);
    }
    this.#ids = this.#ids.filter((id) => this.#jobs.has(id));
    this.#changed();
  }

  /** Put an id in its place by bisection; nearly always that is the end. */
  #insertId(id: string): void {
    let [low, high] = [0, this.#ids.length];
    if ((this.#ids[high - 1] ?? "") < id) low = high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ids[middle] ?? "") < id) low = middle + 1;
      else high = middle;
    }
    this.#ids.splice(low, 0, id);
  }

  #changed(): void {
    this.#newest = null;
    this.#onChange();
  }
}
