import assert from "node:assert/strict";
import { test } from "node:test";
import { marksNear, marksOf } from "./marks";

const job = { id: "a", action: "upgrade", state: "failed", created_at: 90, started_at: 100, ended_at: 172 };
const event = { type: "node.offline", severity: "warning" as const, at: 120, message: "web-1 is offline" };

test("jobs stand where they began, events where they happened, a restart of the window too; by time", () => {
  const marks = marksOf([job], [event, { ...event, type: "job.ended" }], 110, { from: 50, to: 200 });
  assert.deepEqual(marks.map(({ at, kind, level }) => [at, kind, level]), [[100, "job", "crit"], [110, "restart", ""], [120, "event", "warn"]]);
  assert.equal(marks[0]?.text.replaceAll("\u00a0", " "), "Upgrade packages: failed, took 1 min 12 s");
});

test("what lies outside the window is left out, and so is a boot that nobody knows", () => {
  assert.deepEqual(marksOf([job], [event], 0, { from: 130, to: 200 }), []);
});

test("marks near a moment", () => {
  const marks = marksOf([job], [event], 0, { from: 0, to: 200 });
  assert.deepEqual(marksNear(marks, 118, 3).map((mark) => mark.at), [120]);
});
