import assert from "node:assert/strict";
import { test } from "node:test";
import { jobAddress, parseRoute } from "../src/route.ts";

test("a job's address leads back to the job", () => {
  assert.equal(parseRoute(jobAddress("0198-a")).jobId, "0198-a");
  assert.equal(parseRoute("").jobId, null);
  assert.equal(parseRoute("#/jobs").jobId, null);
});
