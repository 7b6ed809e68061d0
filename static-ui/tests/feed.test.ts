import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../src/api.ts";
import { Feed } from "../src/feed.ts";
import type { Job, JobPage } from "../src/model.ts";
import { JobStore } from "../src/store.ts";
import { job } from "./jobs.ts";

/** An API over a list of jobs, newest first, in pages; `down` makes it fail as an unreachable one does. */
class ListedJobs {
  listed: Job[] = [];
  down = false;

  add(count: number): void {
    const first = this.listed.length;
    const added = Array.from({ length: count }, (_, n) => job({ job_id: String(first + n).padStart(5, "0") }));
    this.listed = [...added.reverse(), ...this.listed];
  }

  async jobs(limit: number, pageToken: string | null = null): Promise<JobPage> {
    if (this.down) throw new ApiError(0, { detail: "down" });
    // As with the real one, a page starts after a job, not at an offset that moves with every new job.
    const start = this.listed.findIndex((each) => pageToken === null || each.job_id < pageToken);
    const jobs = this.listed.slice(start, start + limit);
    const isLast = start + limit >= this.listed.length;
    return { jobs, next_page_token: isLast ? null : (jobs.at(-1)?.job_id ?? null) };
  }

  async job(jobId: string): Promise<Job> {
    const found = this.listed.find((each) => each.job_id === jobId);
    if (found === undefined) throw new ApiError(404, {});
    return found;
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
  const { api, store, feed } = setUp(120);
  await feed.refresh();
  assert.deepEqual(ids(feed.jobs()), ids(api.listed.slice(0, 50)));

  // Thirty arrive by push, then the person asks for older ones.
  api.add(30);
  store.upsert(api.listed.slice(0, 30));
  await feed.loadOlder();
  assert.deepEqual(ids(feed.jobs()), ids(api.listed.slice(0, 100)));
  await feed.loadOlder();
  assert.deepEqual(ids(feed.jobs()), ids(api.listed));
  assert.equal(feed.hasOlder, false);
});

test("a read that meets what is known keeps it", async () => {
  const { api, feed } = setUp(120);
  await feed.refresh();
  await feed.loadOlder();
  api.add(40);
  await feed.refresh();
  assert.deepEqual(ids(feed.jobs()), ids(api.listed.slice(0, 100)));
});

test("a read that does not meet what is known begins again, and keeps the selected job", async () => {
  const { api, store, feed } = setUp(60);
  await feed.refresh();
  const selected = api.listed[40]?.job_id ?? "";
  feed.selected = selected;
  api.add(70);
  // Pushes that arrive before the read do not hide the gap behind them.
  store.upsert(api.listed.slice(0, 5));
  await feed.refresh();
  assert.deepEqual(ids(feed.jobs()), ids(api.listed.slice(0, 50)));
  assert.ok(store.get(selected));
  await feed.loadOlder();
  assert.deepEqual(ids(feed.jobs()), ids(api.listed.slice(0, 100)));
});

test("unfinished jobs further down than the first page are read one by one", async () => {
  const { api, store, feed } = setUp(60);
  await feed.refresh();
  await feed.loadOlder();
  const last = api.listed.at(-1);
  assert.ok(last);
  api.listed[59] = { ...last, state: "completed", updated_at: "2026-01-01T00:00:09Z" };
  await feed.refresh();
  assert.equal(store.get(last.job_id)?.state, "completed");
});

test("a failed read leaves what is shown and says why, until one works", async () => {
  const { api, feed } = setUp(10);
  await feed.refresh();
  api.down = true;
  assert.equal(await feed.refresh(), false);
  assert.equal(feed.error?.message, "down");
  assert.equal(feed.jobs().length, 10);
  api.down = false;
  assert.equal(await feed.refresh(), true);
  assert.equal(feed.error, null);
});
