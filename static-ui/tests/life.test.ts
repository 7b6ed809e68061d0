import assert from "node:assert/strict";
import { test } from "node:test";
import { attemptsSeen, lifeOf } from "../src/life.ts";
import type { Attempt } from "../src/model.ts";
import { job } from "./jobs.ts";

const at = (second: number): string => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
const error = { code: "boom", message: "It broke", retryable: true };

function attempt(number: number, from: number, to: number, outcome: string, run = 1): Attempt {
  return { attempt: number, started_at: at(from), finished_at: at(to), outcome, error: outcome === "completed" ? null : error, run };
}

const spans = (...given: Parameters<typeof lifeOf>): [string, string, string | null][] =>
  lifeOf(...given).map((span) => [span.kind, span.from, span.to]);

test("a job that completed at its second attempt", () => {
  const done = job({ state: "completed", created_at: at(0), run_at: at(4), started_at: at(5), finished_at: at(6), attempt: 2 });
  assert.deepEqual(spans(done, [attempt(1, 1, 2, "failed"), attempt(2, 5, 6, "completed")]), [
    ["queued", at(0), at(1)],
    ["failed", at(1), at(2)],
    ["retrying", at(2), at(5)],
    ["completed", at(5), at(6)],
  ]);
});

test("a scheduled job waits for its time, then in the queue", () => {
  const done = job({ state: "completed", created_at: at(0), run_at: at(10), started_at: at(11), finished_at: at(12) });
  assert.deepEqual(spans(done, [attempt(1, 11, 12, "completed")]).slice(0, 2), [
    ["scheduled", at(0), at(10)],
    ["queued", at(10), at(11)],
  ]);
  const waiting = job({ state: "scheduled", created_at: at(0), run_at: "2999-01-01T00:00:00Z" });
  assert.deepEqual(spans(waiting, []), [["scheduled", at(0), null]]);
});

test("what goes on now has no end", () => {
  const base = { created_at: at(0), run_at: at(0) };
  assert.deepEqual(spans(job({ ...base, state: "queued" }), []), [["queued", at(0), null]]);
  assert.deepEqual(spans(job({ ...base, state: "running", started_at: at(3) }), []), [
    ["queued", at(0), at(3)],
    ["running", at(3), null],
  ]);
  assert.deepEqual(spans(job({ ...base, state: "retrying" }), [attempt(1, 1, 2, "failed")]).at(-1), ["retrying", at(2), null]);
});

test("a job that was not scheduled waited in the queue, though its retry has a time", () => {
  const retried = { created_at: at(0), run_at: at(4), attempt: 2 };
  const first = [attempt(1, 1, 2, "failed")];
  assert.deepEqual(spans(job({ ...retried, state: "retrying", attempt: 1 }), first)[0], ["queued", at(0), at(1)]);
  assert.deepEqual(spans(job({ ...retried, state: "running", started_at: at(5) }), first)[0], ["queued", at(0), at(1)]);
});

test("a job that was cancelled before it ran only waited", () => {
  const cancelled = job({ state: "cancelled", created_at: at(0), run_at: at(0), finished_at: at(9) });
  assert.deepEqual(spans(cancelled, []), [["queued", at(0), at(9)]]);
});

test("between two runs the job had ended", () => {
  const done = job({ state: "completed", created_at: at(0), finished_at: at(61), attempt: 1 });
  const kinds = spans(done, [attempt(1, 1, 2, "failed"), attempt(1, 60, 61, "completed", 2)]).map(([kind]) => kind);
  assert.deepEqual(kinds, ["queued", "failed", "ended", "completed"]);
});

test("attempts are seen in the versions of a job: running, then retrying with an error", () => {
  const seen = attemptsSeen([
    job({ state: "queued", attempt: 0 }),
    job({ state: "running", attempt: 1, started_at: at(1) }),
    job({ state: "running", attempt: 1, started_at: at(1), progress: 20 }),
    job({ state: "retrying", attempt: 1, updated_at: at(2), error }),
    job({ state: "running", attempt: 2, started_at: at(5) }),
  ]);
  assert.deepEqual(seen, [attempt(1, 1, 2, "failed")]);
});
