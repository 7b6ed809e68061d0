/** Is the queue healthy? Everything the page knows, weighed into one word and the reasons for it. */
import type { ApiError } from "./api.ts";
import { count, seconds } from "./format.ts";
import type { JobType, Priority, Queue, Queues, Stats, Worker } from "./model.ts";
import { address } from "./route.ts";

export type Level = "good" | "warning" | "bad";

export interface Finding {
  level: Exclude<Level, "good">;
  text: string;
  /** Where in the page to look. */
  link: string;
}

/** What the page has read; null where it has not, or where the server does not offer it. */
export interface Facts {
  error: ApiError | null;
  isLive: boolean;
  readiness: Record<string, string> | null;
  queues: Queues | null;
  stats: Stats | null;
  workers: Worker[] | null;
  jobTypes: JobType[] | null;
}

/** Seconds that the oldest job of a queue may wait before it is worth a look, and at four times this trouble. */
export const PATIENCE: Record<Priority, number> = { critical: 30, high: 60, medium: 300, low: 1_800 };
/** A type is looked at from so many ended jobs on, and is in trouble when so large a part of them failed. */
const ENOUGH_JOBS = 5;
const FAILING = 0.2;
const MOSTLY_FAILING = 0.5;

/** What is wrong, the worst first. */
export function findings(facts: Facts): Finding[] {
  const found: Finding[] = [];
  const note = (level: Finding["level"], text: string, link: string): void => void found.push({ level, text, link });
  if (facts.error !== null) note("bad", facts.error.message, address(""));
  else if (!facts.isLive) note("warning", "Live updates are down; the page reads again every few seconds.", address(""));
  for (const [name, answer] of Object.entries(facts.readiness ?? {})) {
    if (answer !== "ok") note("bad", `The service ${name} does not answer: ${answer}`, address(""));
  }
  noteQueues(facts, note);
  for (const type of facts.jobTypes ?? []) {
    if (type.breaker !== undefined && type.breaker.state !== "closed") {
      const word = type.breaker.state === "open" ? "open" : "half open";
      note("warning", `The breaker of ${type.name} is ${word}: ${type.breaker.reason}`, address("queues"));
    }
    if (type.paused) note("warning", `${type.name} is paused${because(type.paused.reason)}`, address("queues"));
  }
  for (const { name, ended, failed } of failureRates(facts.stats)) {
    if (ended < ENOUGH_JOBS || failed / ended < FAILING) continue;
    const level = failed / ended >= MOSTLY_FAILING ? "bad" : "warning";
    note(level, `${name}: ${count(failed)} of ${count(ended)} jobs failed`, address("jobs", { job_type: name, state: "failed" }));
  }
  return found.sort((a, b) => Number(b.level === "bad") - Number(a.level === "bad"));
}

export function levelOf(found: readonly Finding[]): Level {
  return found.some((each) => each.level === "bad") ? "bad" : found.length > 0 ? "warning" : "good";
}

/** How many jobs of each type have ended and how many of them failed, the most failures first. */
export function failureRates(stats: Stats | null): { name: string; ended: number; failed: number }[] {
  return Object.entries(stats?.by_job_type ?? {})
    .map(([name, { completed, failed }]) => ({ name, ended: completed + failed, failed }))
    .sort((a, b) => b.failed - a.failed || a.name.localeCompare(b.name));
}

function noteQueues(facts: Facts, note: (level: Finding["level"], text: string, link: string) => void): void {
  const { queues, workers } = facts;
  const link = address("queues");
  let allWaiting = 0;
  for (const queue of queues?.queues ?? []) {
    const { waiting, age } = handling(queue, workers);
    if (queue.paused !== null) {
      note("warning", `The ${queue.priority} queue is paused, ${count(waiting)} waiting${because(queue.paused.reason)}`, link);
      continue;
    }
    allWaiting += waiting;
    const patience = PATIENCE[queue.priority];
    if (age !== null && age > patience) {
      note(age > 4 * patience ? "bad" : "warning", `The oldest ${queue.priority} job has waited ${seconds(age)}`, link);
    }
  }
  if (workers?.length === 0 && allWaiting > 0) note("bad", `No instance is running, and ${count(allWaiting)} jobs wait`, link);
  if (queues !== null && queues.poison > 0) note("bad", `${count(queues.poison)} poisoned messages`, address("dead-letters"));
  if (queues !== null && queues.dead > 0) {
    note("warning", `${count(queues.dead)} dead letters wait for a decision`, address("dead-letters"));
  }
}

/** What of a queue waits and what runs: the broker counts both together, and the oldest may be one that runs. */
export function handling(queue: Queue, workers: Worker[] | null): { waiting: number; running: number; age: number | null } {
  const running = (workers ?? []).flatMap((worker) => worker.running).filter((job) => job.priority === queue.priority).length;
  const waiting = Math.max(0, queue.active - running);
  return { waiting, running, age: waiting > 0 ? queue.oldest_age_seconds : null };
}

function because(reason: string): string {
  return reason === "" ? "" : `: ${reason}`;
}
