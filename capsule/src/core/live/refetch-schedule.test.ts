import assert from "node:assert/strict";
import { test } from "node:test";
import { RefetchSchedule } from "./refetch-schedule";

/** The read times for changes at these moments (ms). */
function reads(changes: readonly number[]): number[] {
  const schedule = new RefetchSchedule(0);
  const found: number[] = [];
  const upTo = (at: number): void => {
    while (schedule.next <= at) {
      found.push(schedule.next);
      schedule.read(schedule.next);
    }
  };
  for (const at of changes) {
    upTo(at);
    schedule.noteChange(at);
  }
  upTo(1e9);
  return found;
}

test("a list without changes is read once more, when pending details have arrived", () => {
  assert.deepEqual(reads([]), [65_000]);
});

test("a change is read immediately, and again after its details", () => {
  assert.deepEqual(reads([100_000]), [65_000, 100_250, 165_000]);
});

test("a fleet with constant changes is read every five seconds, neither more often nor never", () => {
  const changes = Array.from({ length: 3000 }, (_, no) => 100_000 + no * 10);
  assert.deepEqual(reads(changes), [65_000, 100_250, 105_250, 110_250, 115_250, 120_250, 125_250, 130_250, 194_990]);
});
