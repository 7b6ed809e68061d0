import assert from "node:assert/strict";
import { test } from "node:test";
import { isJobId, matchesText, NO_FILTER, readFilter, serverPart } from "../src/filter.ts";
import { address, jobAddress, parseRoute } from "../src/route.ts";
import { job } from "./jobs.ts";

test("each address leads to its view", () => {
  const views = ["", "#", "#/", "#/jobs", "#/jobs?state=failed", "#/jobs/0198-a", "#/queues", "#/dead-letters", "#/new"];
  assert.deepEqual(
    views.map((hash) => parseRoute(hash).view),
    ["overview", "overview", "overview", "jobs", "jobs", "job", "queues", "dead-letters", "new"],
  );
  for (const hash of ["#/nothing", "#/queues/low", "#/jobs/a/b", "#/toString"]) assert.equal(parseRoute(hash).view, "missing");
});

test("a job's address leads back to the job, whatever its id is", () => {
  for (const id of ["0198-a", "a b/c?d", "50%"]) assert.equal(parseRoute(jobAddress(id)).jobId, id);
  assert.equal(parseRoute("#/jobs/50%").jobId, "50%");
});

test("a filter survives the way through an address", () => {
  const filter = { state: "failed", job_type: "weather", priority: "low", tag: "a&b", text: "x=1 ü?" };
  assert.deepEqual(readFilter(parseRoute(address("jobs", filter)).query), filter);
  assert.deepEqual(readFilter(parseRoute(address("jobs", NO_FILTER)).query), NO_FILTER);
  assert.equal(address("jobs", NO_FILTER), "#/jobs");
});

test("a state or priority that does not exist is no filter; a type may be unknown to the page", () => {
  const filter = readFilter(new URLSearchParams("state=eaten&priority=urgent&job_type=new_type"));
  assert.deepEqual(serverPart(filter), { job_type: "new_type" });
});

test("text is found in ids, type, tags, message and error; a tag must be the whole tag", () => {
  const one = job({ job_id: "abc", trace_id: "trace", tags: ["nightly"], message: "Step 3", error: { code: "boom", message: "It Broke", retryable: true } });
  for (const text of ["ABC", "trac", "weath", "night", "step 3", "boom", "it broke", "  "]) {
    assert.ok(matchesText({ ...NO_FILTER, text }, one), text);
  }
  assert.ok(!matchesText({ ...NO_FILTER, text: "other" }, one));
  assert.ok(matchesText({ ...NO_FILTER, tag: "nightly" }, one));
  assert.ok(!matchesText({ ...NO_FILTER, tag: "night" }, one));
});

test("a whole job id is told from other text", () => {
  assert.ok(isJobId(" 01A2012f-0030-7f40-a240-d009615b1463 "));
  assert.ok(!isJobId("01a2012f-0030"));
});
