/** A job's life as a row of spans: how long it waited, ran, and waited again. */
import { type Attempt, isTerminal, type Job, type JobError, type JobState } from "./model.ts";

export interface Span {
  /** A state that the job was in, or how an attempt ended; "ended" is the rest before it was started again. */
  kind: JobState | "ended";
  label: string;
  from: string;
  /** Null while it lasts. */
  to: string | null;
  error: JobError | null;
}

/** The spans of a job, oldest first. `attempts` are the finished ones; what goes on now follows from the job itself. */
export function lifeOf(job: Job, attempts: readonly Attempt[]): Span[] {
  const spans: Span[] = [];
  let at = job.created_at;
  const add = (kind: Span["kind"], label: string, to: string | null, error: JobError | null = null): void => {
    spans.push({ kind, label, from: at, to, error });
    at = to ?? at;
  };
  const waitUntil = (to: string | null): void => {
    const isFirst = spans.length === 0;
    // A retry moves `run_at`: only before it can one tell waiting for the time from waiting in the queue.
    const isFirstDue = attempts.length === 0 || (attempts.length === 1 && isTerminal(job.state));
    const dueAt = isFirstDue && Date.parse(job.run_at) > Date.parse(job.created_at) ? job.run_at : null;
    const isOver = dueAt !== null && Date.parse(to ?? new Date().toISOString()) > Date.parse(dueAt);
    if (isFirst && dueAt !== null) add("scheduled", "Waited for its time", isOver ? dueAt : to);
    if (!isFirst) add("retrying", "Waited to try again", to);
    else if (dueAt === null || isOver) add("queued", "Waited in the queue", to);
  };

  let run = attempts[0]?.run ?? 1;
  for (const attempt of attempts) {
    if (attempt.run === run) waitUntil(attempt.started_at);
    else add("ended", "Had ended; was started again", attempt.started_at);
    run = attempt.run;
    at = attempt.started_at;
    add(kindOf(attempt), `Attempt ${attempt.attempt}`, attempt.finished_at, attempt.error);
  }
  if (isTerminal(job.state)) {
    if (spans.length === 0) waitUntil(job.finished_at);
  } else if (job.state === "running" && job.started_at !== null) {
    waitUntil(job.started_at);
    add("running", `Attempt ${job.attempt}`, null);
  } else {
    waitUntil(null);
  }
  return spans;
}

/** The attempts whose end was seen in the versions of a job, oldest first: until a read brings them. */
export function attemptsSeen(versions: readonly Job[]): Attempt[] {
  const attempts: Attempt[] = [];
  for (const [index, job] of versions.entries()) {
    const before = versions[index - 1];
    if (before?.state !== "running" || job.state !== "retrying" || before.started_at === null) continue;
    attempts.push({
      attempt: before.attempt,
      started_at: before.started_at,
      finished_at: job.updated_at,
      outcome: "failed",
      error: job.error,
      run: 1,
    });
  }
  return attempts;
}

function kindOf(attempt: Attempt): JobState {
  return attempt.outcome === "completed" || attempt.outcome === "cancelled" ? attempt.outcome : "failed";
}
