import assert from "node:assert/strict";
import { test } from "node:test";
import { MOST_JOBS, readBatch } from "../src/batch.ts";
import type { JobDetails, JobType } from "../src/model.ts";
import { newForm, placeProblems, readForm, withInput } from "../src/new-job.ts";
import { curl, dtq } from "../src/snippets.ts";
import { job } from "./jobs.ts";

const TYPE: JobType = {
  name: "weather",
  description: "",
  payload_schema: {
    type: "object",
    properties: { city: { type: "string" }, tags: { type: "string" } },
    required: ["city"],
  },
  example: { city: "Austin" },
  defaults: { priority: "high", max_retries: 3, timeout_seconds: 60 },
};

test("the form begins with the example and the type's priority, and asks for nothing that has a default", () => {
  const { job: request, isValid } = readForm(newForm(TYPE, null));
  assert.ok(isValid);
  assert.deepEqual(request, { job_type: "weather", payload: { city: "Austin" }, priority: "high" });
});

test("what goes around the payload", () => {
  let form = newForm(TYPE, null);
  const typed = { run_at: "2030-01-02T03:04:05", max_retries: "0", timeout_seconds: "2.5", tags: "a, b", priority: "low" };
  for (const [name, value] of Object.entries(typed)) form = withInput(form, "options", name, value);
  const { job: request, isValid } = readForm(form);
  assert.ok(isValid);
  assert.deepEqual(request, {
    job_type: "weather",
    payload: { city: "Austin" },
    priority: "low",
    run_at: new Date("2030-01-02T03:04:05").toISOString(),
    max_retries: 0,
    timeout_seconds: 2.5,
    tags: ["a", "b"],
  });
});

test("a run again has the earlier job's payload, priority, tags and retries", () => {
  const earlier: JobDetails = {
    ...job({ priority: "critical", tags: ["x"], max_attempts: 6 }),
    payload: { city: "Rome" },
    attempts: [],
    timeline: [],
  };
  assert.deepEqual(readForm(newForm(TYPE, earlier)).job, {
    job_type: "weather",
    payload: { city: "Rome" },
    priority: "critical",
    max_retries: 5,
    tags: ["x"],
  });
});

test("what is wrong is marked at its field until the field is changed", () => {
  const form = withInput(withInput(newForm(TYPE, null), "payload", "city", ""), "options", "max_retries", "many");
  const { form: marked, isValid } = readForm(form);
  assert.ok(!isValid);
  assert.deepEqual(Object.keys(marked.payload.errors), ["city"]);
  assert.deepEqual(Object.keys(marked.options.errors), ["max_retries"]);
  assert.deepEqual(withInput(marked, "payload", "city", "R").payload.errors, {});
});

test("the API's complaints find their fields, also where payload and options share a name", () => {
  const { form, unplaced } = placeProblems(newForm(TYPE, null), [
    { pointer: "/payload/tags", detail: "one" },
    { pointer: "/tags/0", detail: "two" },
    { pointer: "/payload/city/x", detail: "three" },
    { pointer: "", detail: "four" },
    { pointer: "/payload/unknown", detail: "five" },
  ]);
  assert.deepEqual(form.payload.errors, { tags: "one", city: "three" });
  assert.deepEqual(form.options.errors, { tags: "two" });
  assert.deepEqual(unplaced, ["four", "five"]);
});

test("the command quotes what a shell would read", () => {
  const text = curl("http://h/api/v1/jobs", { a: "it's $HOME" }, false);
  assert.ok(text.endsWith(`-d '{"a":"it'\\''s $HOME"}'`), text);
  assert.ok(!text.includes("functions-key"));
  assert.ok(curl("u", {}, true).includes('-H "x-functions-key: $DTQ_KEY"'));
});

test("the dtq command has an option for each field, quoted for a shell", () => {
  const body = { job_type: "a", payload: { b: "it's" }, max_retries: 2, tags: ["x y", "z"] };
  const lines = dtq("https://h/api/v1/jobs", body).split(" \\\n     ");
  assert.deepEqual(lines, [
    "DTQ_URL=https://h dtq submit 'a'",
    `--payload '{"b":"it'\\''s"}'`,
    "--max-retries '2'",
    "--tags 'x y' 'z'",
  ]);
});

test("a batch is an array, the API's own shape, one job, or a job a line", () => {
  const one = { job_type: "a", payload: {} };
  for (const text of [JSON.stringify([one, one]), JSON.stringify({ jobs: [one, one] }, null, 2), `${JSON.stringify(one)}\n\n${JSON.stringify(one)}\n`]) {
    assert.deepEqual(readBatch(text), { jobs: [one, one], problem: null });
  }
  assert.equal(readBatch(JSON.stringify(one)).jobs.length, 1);
});

test("a batch that cannot be sent says what is wrong", () => {
  const problems: [text: string, part: string][] = [
    [" ", "Nothing"],
    ["[]", "no job"],
    ['{"job_type": "a"}\nnot json', "Line 2"],
    ['[{"job_type": "a"}, {"payload": {}}]', "Job 2"],
    ["[1]", "Job 1"],
    ["null", "Job 1"],
    [JSON.stringify(Array.from({ length: MOST_JOBS + 1 }, () => ({ job_type: "a" }))), "too many"],
  ];
  for (const [text, part] of problems) assert.match(readBatch(text).problem ?? "", new RegExp(part), text);
});
