/**
 * Every job the page knows, by id. Pushes arrive out of order and twice, and a read can be older than a push that
 * overtook it: `merge` decides which of two versions of a job is the later one.
 */
import { isTerminal, type Job, type TimelineEntry } from "./model.ts";

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

/** Job ids are UUIDv7: as text they sort in the order of creation, which is also the order of the API's listing. */
function newestFirst(a: Job, b: Job): number {
  return a.job_id < b.job_id ? 1 : -1;
}

export class JobStore {
  #jobs = new Map<string, Job>();
  #reports = new Map<string, TimelineEntry[]>();
  #sorted: Job[] | null = null;
  #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get(jobId: string): Job | undefined {
    return this.#jobs.get(jobId);
  }

  /** What a job was seen to report, oldest first. One push may carry several versions of a job; each is kept here. */
  reports(jobId: string): readonly TimelineEntry[] {
    return this.#reports.get(jobId) ?? [];
  }

  /** All known jobs, newest first. The array stays the same one until a job changes. */
  newest(): readonly Job[] {
    this.#sorted ??= [...this.#jobs.values()].sort(newestFirst);
    return this.#sorted;
  }

  upsert(jobs: readonly Job[]): void {
    let changed = false;
    for (const job of jobs) {
      const known = this.#jobs.get(job.job_id);
      const kept = merge(known, job);
      if (kept !== known) {
        this.#jobs.set(job.job_id, kept);
        this.#noteReport(kept);
        changed = true;
      }
    }
    if (changed) this.#changed();
  }

  /** Forget the jobs created before this one, but for `except`: between them and it lies a gap of unknown size. */
  forgetOlderThan(jobId: string, except: string | null): void {
    for (const known of this.#jobs.keys()) {
      if (known >= jobId || known === except) continue;
      this.#jobs.delete(known);
      this.#reports.delete(known);
    }
    this.#changed();
  }

  #noteReport(job: Job): void {
    const isReport = job.state === "running" && (job.progress > 0 || job.message !== "");
    const known = this.reports(job.job_id);
    const last = known.at(-1);
    if (!isReport || (last?.progress === job.progress && last.message === job.message)) return;
    const report = { at: job.updated_at, progress: job.progress, message: job.message };
    this.#reports.set(job.job_id, [...known, report]);
  }

  #changed(): void {
    this.#sorted = null;
    this.#onChange();
  }
}
