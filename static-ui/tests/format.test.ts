import assert from "node:assert/strict";
import { test } from "node:test";
import { count, duration, relativeTime, seconds } from "../src/format.ts";

const NOW = Date.parse("2026-01-02T00:00:00Z");

test("relative times", () => {
  const cases: [string, string][] = [
    ["2026-01-01T23:59:59Z", "just now"],
    ["2026-01-02T00:00:01.5Z", "just now"],
    ["2026-01-01T23:59:48Z", "12 s ago"],
    ["2026-01-01T23:58:01Z", "1 min ago"],
    ["2026-01-01T22:00:00Z", "2 h ago"],
    ["2025-12-30T00:00:00Z", "3 d ago"],
    ["2026-01-02T00:05:00Z", "in 5 min"],
  ];
  for (const [time, text] of cases) assert.equal(relativeTime(time, NOW), text);
});

test("durations", () => {
  const from = "2026-01-01T00:00:00Z";
  const cases: [string, string][] = [
    ["2026-01-01T00:00:00.350Z", "350 ms"],
    ["2026-01-01T00:00:01.25Z", "1.3 s"],
    ["2026-01-01T00:02:05.9Z", "2 min 5 s"],
    ["2026-01-01T03:10:00Z", "3 h 10 min"],
    ["2025-12-31T23:59:59Z", "0 ms"],
  ];
  for (const [to, text] of cases) assert.equal(duration(from, to), text);
});

test("seconds and numbers that are not known are a dash", () => {
  assert.deepEqual([seconds(null), seconds(0), seconds(0.0304), seconds(59.96), seconds(93_600)], ["–", "0 ms", "30 ms", "1 min 0 s", "1 d 2 h"]);
  assert.deepEqual([count(null), count(undefined), count(1_234_567)], ["–", "–", "1,234,567"]);
});
