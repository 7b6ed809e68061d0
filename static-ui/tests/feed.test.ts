import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../src/api.ts";
import { Feed, KEPT, PAGE_SIZE } from "../src/feed.ts";
import { NO_FILTER } from "../src/filter.ts";
import type { Job, JobPage } from "../src/model.ts";
import { JobStore } from "../src/store.ts";
import { job } from "./jobs.ts";

/** An API over a list of jobs, newest first, in pages; `down` makes it fail as an unreachable one does. */
class ListedJobs {
  listed: Job[] = [];
  down = false;
  calls = 0;

  add(count: number, changes: Partial<Job> = {}): Job[] {
    const first = this.listed.length;
    const added = Array.from({ length: count }, (_, n) => job({ job_id: String(first + n).padStart(6, "0"), ...changes }));
    this.listed = [...added.reverse(), ...this.listed];
    return added;
  }

  change(index: number, changes: Partial<Job>): Job {
    const changed = { ...(this.listed[index] ?? job()), updated_at: "2026-01-01T00:00:09Z", ...changes };
    this.listed[index] = changed;
    return changed;
  }

  async jobs(query: Record<string, string>, limit: number, pageToken: string | null = null): Promise<JobPage> {
    this.calls += 1;
    if (this.down) throw new ApiError(0, { detail: "down" });
    const state = query["state"];
    // As with the real one, a page starts after a job, not at an offset that moves with every new job.
    const matching = this.listed.filter(
      (each) => (state === undefined || each.state === state) && (pageToken === null || each.job_id < pageToken),
    );
    const jobs = matching.slice(0, limit);
    return { jobs, next_page_token: matching.length > limit ? (jobs.at(-1)?.job_id ?? null) : null };
  }
}

function setUp(count: number): { api: ListedJobs; store: JobStore; feed: Feed } {
  const api = new ListedJobs();
  api.add(count);
  const store = new JobStore(() => {});
  return { api, store, feed: new Feed(api, store) };
}

const ids = (jobs: readonly Job[]): string[] => jobs.map((each) => each.job_id);

test("the first read shows the newest page, older pages follow without a hole", async () => {
  const { api, store, feed } = setUp(250);
  await feed.refresh(false);
  assert.deepEqual(ids(feed.jobs()), ids(api.listed.slice(0, PAGE_SIZE)));
  // Thirty arrive by push, then the person asks for older ones.
  store.upsert(api.add(30));
  await feed.loadOlder();
  assert.deepEqual(ids(feed.jobs()), ids(api.listed.slice(0, 2 * PAGE_SIZE + 30)));
  assert.equal(feed.hasOlder, true);
  await feed.loadOlder();
  assert.deepEqual(ids(feed.jobs()), ids(api.listed));
  assert.equal(feed.hasOlder, false);
});

test("a pushed job that is older than what was read waits for its page", async () => {
  const { api, store, feed } = setUp(250);
  await feed.refresh(false);
  store.upsert([api.change(249, { state: "queued" })]);
  assert.deepEqual(ids(feed.jobs()), ids(api.listed.slice(0, PAGE_SIZE)));
});

test("a read that meets what is known keeps what lies deeper", async () => {
  const { api, feed } = setUp(1_500);
  await feed.refresh(false);
  for (let page = 0; page < 12; page += 1) await feed.loadOlder();
  api.add(40);
  await feed.refresh(false);
  assert.deepEqual(ids(feed.jobs()), ids(api.listed.slice(0, 1_340)));
});

test("after an outage the list begins again where the reads stop, and goes on from there", async () => {
  const { api, store, feed } = setUp(1_500);
  await feed.refresh(false);
  for (let page = 0; page < 12; page += 1) await feed.loadOlder();
  // Deeper than the reads reach, so the page cannot know of it.
  api.change(1_200, { state: "completed" });
  await feed.refresh(true);
  assert.equal(feed.jobs().length, 800);
  for (let page = 0; page < 5; page += 1) await feed.loadOlder();
  assert.equal(store.get(api.listed[1_200]?.job_id ?? "")?.state, "completed");
  assert.deepEqual(ids(feed.jobs()), ids(api.listed.slice(0, 1_300)));
});

test("a read that does not meet what is known begins again", async () => {
  const { api, store, feed } = setUp(60);
  await feed.refresh(false);
  feed.mark();
  api.add(900);
  // Pushes that arrive before the read do not hide the gap behind them.
  store.upsert(api.listed.slice(0, 5));
  await feed.refresh(false);
  assert.deepEqual(ids(feed.jobs()), ids(api.listed.slice(0, 800)));
  await feed.loadOlder();
  assert.deepEqual(ids(feed.jobs()), ids(api.listed.slice(0, 900)));
});

test("a job that the read no longer brings is gone; one that was pushed meanwhile stays", async () => {
  const { api, store, feed } = setUp(3);
  await feed.refresh(false);
  const [newest, expired] = [api.listed[0], api.listed[1]];
  assert.ok(newest && expired);
  api.listed = api.listed.filter((each) => each !== expired);
  const late = job({ job_id: "000009" });
  const read = feed.refresh(false);
  store.upsert([late]);
  await read;
  assert.deepEqual(ids(feed.jobs()), ["000009", newest.job_id, "000000"]);
});

test("a filter shows what matches, reads by what the API knows, and follows changes of state", async () => {
  const { api, store, feed } = setUp(10);
  api.change(3, { state: "failed", error: { code: "boom", message: "It broke", retryable: false } });
  await feed.refresh(false);
  assert.equal(feed.choose({ ...NO_FILTER, state: "failed" }), true);
  assert.equal(feed.loaded, false);
  await feed.refresh(false);
  assert.equal(feed.jobs().length, 1);
  store.upsert([api.change(5, { state: "failed" })]);
  assert.equal(feed.jobs().length, 2);
  // Text is looked for among what was read: no call.
  const { calls } = api;
  assert.equal(feed.choose({ ...feed.filter, text: "it BROKE" }), false);
  assert.equal(feed.jobs().length, 1);
  assert.equal(api.calls, calls);
});

test("a new filter shows what is known already until its answer brings the rest", async () => {
  const { api, feed } = setUp(250);
  await feed.refresh(false);
  const [near, far] = [api.change(3, { state: "failed" }), api.change(240, { state: "failed" })];
  await feed.refresh(false);
  feed.choose({ ...NO_FILTER, state: "failed" });
  assert.deepEqual(ids(feed.jobs()), [near.job_id]);
  await feed.refresh(false);
  assert.deepEqual(ids(feed.jobs()), [near.job_id, far.job_id]);
});

test("an answer for an earlier filter changes nothing", async () => {
  const { feed } = setUp(10);
  const read = feed.refresh(false);
  feed.choose({ ...NO_FILTER, state: "failed" });
  await read;
  assert.equal(feed.loaded, false);
  assert.equal(feed.jobs().length, 0);
});

test("a held list stands still, counts what waits, and shows it when it is let go", async () => {
  const { api, store, feed } = setUp(20);
  await feed.refresh(false);
  feed.hold();
  const before = ids(feed.jobs());
  store.upsert(api.add(7));
  store.upsert([api.change(8, { state: "completed" })]);
  assert.deepEqual(ids(feed.jobs()), before);
  assert.equal(feed.jobs()[1]?.state, "completed");
  assert.equal(feed.waiting, 7);
  assert.equal(feed.release(), false);
  assert.deepEqual(ids(feed.jobs()), ids(api.listed));
});

test("whatever comes, the page keeps the newest few thousand, and finds its way back to older ones", async () => {
  const { api, store, feed } = setUp(10);
  await feed.refresh(false);
  for (let push = 0; push < 300; push += 1) {
    store.upsert(api.add(40));
    feed.prune();
    assert.ok(store.size <= KEPT + 1_000 + 40, `${store.size} jobs`);
  }
  const shown = feed.jobs().length;
  assert.ok(shown >= KEPT);
  assert.deepEqual(ids(feed.jobs()), ids(api.listed.slice(0, shown)));
  await feed.loadOlder();
  assert.ok(feed.jobs().length > shown);
  assert.deepEqual(ids(feed.jobs()), ids(api.listed.slice(0, feed.jobs().length)));
});

test("jobs that the filter leaves out do not fill the memory either, and text keeps nothing alive", async () => {
  const { api, store, feed } = setUp(10);
  feed.choose({ ...NO_FILTER, state: "failed", text: "nothing has this" });
  await feed.refresh(false);
  for (let push = 0; push < 100; push += 1) {
    store.upsert(api.add(60, { state: push % 2 === 0 ? "failed" : "completed" }));
    feed.prune();
  }
  assert.ok(store.size <= KEPT + 1_000 + 60, `${store.size} jobs`);
});

test("a list that is held for hours forgets what waits, and reads it when it is let go", async () => {
  const { api, store, feed } = setUp(50);
  await feed.refresh(false);
  feed.hold();
  const before = ids(feed.jobs());
  for (let push = 0; push < 200; push += 1) {
    store.upsert(api.add(50));
    feed.prune();
  }
  assert.ok(store.size <= KEPT + 1_000 + 50, `${store.size} jobs`);
  assert.deepEqual(ids(feed.jobs()), before);
  assert.equal(feed.waiting, 10_000);
  assert.equal(feed.release(), true);
  await feed.refresh(true);
  assert.deepEqual(ids(feed.jobs()), ids(api.listed.slice(0, 800)));
});

test("a failed read leaves what is shown and says why, until one works", async () => {
  const { api, feed } = setUp(10);
  await feed.refresh(false);
  api.down = true;
  assert.equal(await feed.refresh(false), false);
  assert.equal(feed.error?.message, "down");
  assert.equal(feed.jobs().length, 10);
  api.down = false;
  assert.equal(await feed.refresh(false), true);
  assert.equal(feed.error, null);
});
