import assert from "node:assert/strict";
import { test } from "node:test";
import type { JobState } from "../src/model.ts";
import { JobStore, merge, sortableTime } from "../src/store.ts";
import { job } from "./jobs.ts";

const at = (fraction: string): string => `2026-01-01T00:00:01${fraction}Z`;

test("times sort by microseconds, with and without a fraction", () => {
  const inOrder = ["2026-01-01T00:00:01Z", at(".000001"), at(".1"), at(".100001"), "2026-01-01T00:00:02+00:00"];
  assert.deepEqual([...inOrder].reverse().map(sortableTime).sort(), inOrder.map(sortableTime));
});

test("an unknown job is taken as it is", () => {
  const next = job();
  assert.equal(merge(undefined, next), next);
});

test("an older version never replaces a newer one", () => {
  const known = job({ updated_at: at(".000002"), progress: 50 });
  assert.equal(merge(known, job({ updated_at: at(".000001"), progress: 80 })), known);
});

for (const state of ["completed", "failed", "cancelled"] satisfies JobState[]) {
  test(`a ${state} job does not go back to an older or equally old running version`, () => {
    const known = job({ state, updated_at: at(".5"), progress: 100 });
    assert.equal(merge(known, job({ updated_at: at(".4") })), known);
    assert.equal(merge(known, job({ updated_at: at(".5"), attempt: 2 })), known);
  });

  test(`${state} replaces a running version of the same instant`, () => {
    const next = job({ state });
    assert.equal(merge(job({ progress: 100 }), next), next);
  });
}

test("an explicit retry brings a failed job back, because it is later", () => {
  const retried = job({ state: "queued", attempt: 0, updated_at: at(".6") });
  assert.equal(merge(job({ state: "failed", progress: 80, updated_at: at(".5") }), retried), retried);
});

test("progress never falls within an attempt, and starts again with the next", () => {
  const known = job({ progress: 80 });
  const late = merge(known, job({ progress: 50, message: "later", updated_at: at(".9") }));
  assert.deepEqual([late.progress, late.message], [80, "later"]);
  assert.equal(merge(known, job({ progress: 10, attempt: 2, updated_at: at(".9") })).progress, 10);
});

test("at the same instant the version that is further on stays", () => {
  const known = job({ progress: 50 });
  assert.equal(merge(known, job({ progress: 20 })), known);
  assert.equal(merge(known, job({ progress: 80 })).progress, 80);
  assert.equal(merge(known, job({ progress: 0, attempt: 2 })).attempt, 2);
});

test("the store lists the newest first, whatever the order of arrival", () => {
  const store = new JobStore(() => {});
  store.upsert([job({ job_id: "1" }), job({ job_id: "3" })]);
  store.upsert([job({ job_id: "2" })]);
  assert.deepEqual(store.newest().map((each) => each.job_id), ["3", "2", "1"]);
});

test("the store tells of changes, and keeps quiet when nothing changed", () => {
  let calls = 0;
  const store = new JobStore(() => (calls += 1));
  store.upsert([job({ progress: 50 })]);
  const listed = store.newest();
  store.upsert([job({ progress: 20 })]);
  assert.equal(calls, 1);
  assert.equal(store.newest(), listed);
});

test("retaining forgets the others, but not the watched one", () => {
  const store = new JobStore(() => {});
  store.watch("1");
  store.upsert(["1", "2", "3", "4"].map((job_id) => job({ job_id })));
  store.retain((each) => each.job_id >= "3");
  assert.deepEqual(store.newest().map((each) => each.job_id), ["4", "3", "1"]);
  assert.equal(store.size, 3);
  store.upsert([job({ job_id: "2" })]);
  assert.deepEqual(store.newest().map((each) => each.job_id), ["4", "3", "2", "1"]);
});

test("every version of the watched job is kept, also those that one push brings together", () => {
  const store = new JobStore(() => {});
  store.upsert([job({ updated_at: at(".1") })]);
  store.watch("a");
  store.upsert([
    job({ updated_at: at(".2"), progress: 20 }),
    job({ updated_at: at(".3"), progress: 50 }),
    job({ job_id: "b" }),
    job({ updated_at: at(".3"), progress: 50 }),
  ]);
  assert.deepEqual(store.versions.map((each) => each.progress), [0, 20, 50]);
  store.watch("b");
  assert.deepEqual(store.versions.map((each) => each.job_id), ["b"]);
});

test("a job that reports for ever does not fill the memory", () => {
  const store = new JobStore(() => {});
  store.watch("a");
  for (let step = 1; step <= 500; step += 1) store.upsert([job({ updated_at: `2026-01-01T00:00:02.${String(step).padStart(6, "0")}Z` })]);
  assert.equal(store.versions.length, 200);
  assert.equal(store.versions.at(-1)?.updated_at, "2026-01-01T00:00:02.000500Z");
});
