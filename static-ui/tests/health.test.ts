import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../src/api.ts";
import { type Facts, findings, levelOf, PATIENCE } from "../src/health.ts";
import { type JobType, PRIORITIES, type Queue, type Queues, type Stats, type Worker } from "../src/model.ts";
import { HISTORY_MS, QueueHistory } from "../src/queue-history.ts";

function queues(changes: Partial<Queue> = {}, dead = 0, poison = 0): Queues {
  const quiet = PRIORITIES.map((priority) => ({ priority, active: 0, scheduled: 0, oldest_age_seconds: null, paused: null }));
  return { as_of: "", dead, poison, queues: quiet.map((queue) => (queue.priority === "high" ? { ...queue, ...changes } : queue)) };
}

function stats(completed: number, failed: number): Stats {
  const counts = { submitted: 0, completed, failed, cancelled: 0, retried: 0 };
  return {
    as_of: "",
    totals: { ...counts, processed: 0, dead: 0 },
    open: { total: 0, by_state: {}, by_job_type: {}, complete: true },
    by_job_type: { weather: counts },
    by_priority: {},
    per_minute: [],
    queue_wait_seconds: {},
    run_seconds: {},
  };
}

const QUIET: Facts = {
  error: null,
  isLive: true,
  readiness: { table: "ok" },
  queues: queues(),
  stats: stats(100, 1),
  workers: [],
  jobTypes: [],
};
const TYPE: JobType = {
  name: "weather",
  description: "",
  payload_schema: {},
  example: {},
  defaults: { priority: "low", max_retries: 0, timeout_seconds: 1 },
};

const BUSY: Worker = {
  instance_id: "a",
  functions: [],
  version: "",
  started_at: "",
  last_seen_at: "",
  slots: 1,
  running: [{ job_id: "x", job_type: "weather", priority: "high", started_at: "" }],
};

const levels = (changes: Partial<Facts>): string[] => findings({ ...QUIET, ...changes }).map((each) => each.level);

test("a quiet queue is healthy, also where the server tells little", () => {
  assert.deepEqual(findings(QUIET), []);
  assert.equal(levelOf([]), "good");
  assert.deepEqual(levels({ readiness: null, queues: null, stats: null, workers: null, jobTypes: null }), []);
});

test("each kind of trouble is found", () => {
  const pause = { at: "2026-01-01T00:00:00Z", by: "someone", reason: "maintenance" };
  const breaker = { state: "open" as const, since: null, until: null, reason: "5 failures" };
  const cases: [Partial<Facts>, string[]][] = [
    [{ error: new ApiError(0, { detail: "away" }) }, ["bad"]],
    [{ isLive: false }, ["warning"]],
    [{ readiness: { table: "timeout", cosmos: "ok" } }, ["bad"]],
    [{ workers: [BUSY], queues: queues({ active: 2, oldest_age_seconds: PATIENCE.high + 1 }) }, ["warning"]],
    [{ workers: [BUSY], queues: queues({ active: 2, oldest_age_seconds: 4 * PATIENCE.high + 1 }) }, ["bad"]],
    [{ workers: [BUSY], queues: queues({ active: 2, oldest_age_seconds: PATIENCE.high }) }, []],
    // The only one there is runs already.
    [{ workers: [BUSY], queues: queues({ active: 1, oldest_age_seconds: 9_999 }) }, []],
    // What waits in a paused queue waits on purpose.
    [{ queues: queues({ active: 9, oldest_age_seconds: 9_999, paused: pause }) }, ["warning"]],
    [{ queues: queues({ active: 3 }) }, ["bad"]],
    [{ queues: queues({}, 4) }, ["warning"]],
    [{ queues: queues({}, 0, 1) }, ["bad"]],
    [{ jobTypes: [{ ...TYPE, breaker }] }, ["warning"]],
    [{ jobTypes: [{ ...TYPE, paused: pause }] }, ["warning"]],
    [{ stats: stats(3, 1) }, []],
    [{ stats: stats(7, 3) }, ["warning"]],
    [{ stats: stats(4, 6) }, ["bad"]],
  ];
  for (const [changes, expected] of cases) assert.deepEqual(levels(changes), expected, JSON.stringify(changes));
});

test("the worst comes first and makes the verdict", () => {
  const found = findings({ ...QUIET, queues: queues({}, 4), stats: stats(0, 9) });
  assert.deepEqual(found.map((each) => each.level), ["bad", "warning"]);
  assert.equal(levelOf(found), "bad");
  assert.equal(levelOf(found.slice(1)), "warning");
});

test("the history holds the last minutes, and breaks the line where nobody looked", () => {
  const history = new QueueHistory();
  for (let at = 0; at < HISTORY_MS + 60_000; at += 5_000) history.add(queues({ active: at / 5_000, oldest_age_seconds: 3 }), [BUSY], at);
  const { times, values } = history.depth;
  assert.equal(times.length, HISTORY_MS / 5_000);
  assert.equal(values[PRIORITIES.indexOf("high")]?.at(-1), 190);
  assert.equal(values[PRIORITIES.indexOf("low")]?.at(-1), 0);
  assert.equal(history.age.values[PRIORITIES.indexOf("high")]?.at(-1), 3);
  history.add(queues(), null, HISTORY_MS + 300_000);
  assert.equal(history.depth.values[0]?.at(-2), null);
});
