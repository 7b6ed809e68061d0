import assert from "node:assert/strict";
import { test } from "node:test";
import { rowWindow, scrollToRow } from "../src/window.ts";

test("the rows in sight exist, and a few around them", () => {
  assert.deepEqual(rowWindow(0, 400, 40, 5_000), { first: 0, end: 18 });
  assert.deepEqual(rowWindow(4_000, 400, 40, 5_000), { first: 92, end: 118 });
  assert.deepEqual(rowWindow(0, 400, 40, 3), { first: 0, end: 3 });
  assert.deepEqual(rowWindow(0, 400, 40, 0), { first: 0, end: 0 });
});

test("a list that has become shorter than where it was scrolled to shows its end", () => {
  const { first, end } = rowWindow(100_000, 400, 40, 10);
  assert.ok(first <= end && end === 10);
});

test("every row in sight is inside the window, wherever one scrolls", () => {
  for (let top = 0; top <= 40 * 200 - 400; top += 13) {
    const { first, end } = rowWindow(top, 400, 40, 200);
    assert.ok(first * 40 <= top && end * 40 >= top + 400, String(top));
    assert.ok(end - first <= 28);
  }
});

test("a row out of sight is scrolled to, one in sight is left", () => {
  assert.equal(scrollToRow(0, 100, 400, 40), 0);
  assert.equal(scrollToRow(5, 100, 400, 40), 100);
  assert.equal(scrollToRow(20, 100, 400, 40), 440);
});
