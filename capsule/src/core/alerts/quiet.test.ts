import assert from "node:assert/strict";
import { test } from "node:test";
import { quietOf, type WindowLike } from "./quiet";

const NODE = { id: "n1", tags: ["web"] };
const opened = (more: Partial<WindowLike> = {}): WindowLike => ({
  select: { all: false, tags: [], nodes: ["n1"] },
  reason: "disk swap",
  origin: "user",
  next_from_at: 100,
  next_until_at: 200,
  ...more,
});

test("a window holds for its nodes and tags, from its start until its end", () => {
  assert.deepEqual(quietOf([opened()], NODE, 100), { until: 200, reason: "disk swap" });
  for (const at of [99, 200]) assert.equal(quietOf([opened()], NODE, at), null);
  assert.equal(quietOf([opened({ select: { all: false, tags: ["db"], nodes: ["n2"] } })], NODE, 150), null);
  for (const select of [
    { all: true, tags: [], nodes: [] },
    { all: false, tags: ["web"], nodes: [] },
  ])
    assert.equal(quietOf([opened({ select })], NODE, 150)?.until, 200);
});

test("of several windows the one that ends last counts; those of jobs and those that are over do not", () => {
  const windows = [
    opened(),
    opened({ next_until_at: 300, reason: "later" }),
    opened({ next_until_at: 250 }),
    opened({ next_until_at: null }),
  ];
  assert.deepEqual(quietOf(windows, NODE, 150), { until: 300, reason: "later" });
  assert.equal(quietOf([opened({ origin: "job" })], NODE, 150), null);
});
