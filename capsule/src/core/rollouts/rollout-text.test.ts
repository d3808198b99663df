import assert from "node:assert/strict";
import { test } from "node:test";
import { timeOrDate } from "../text/time";
import {
  beginWords,
  countsWords,
  nextWords,
  packagesWords,
  rolloutPhase,
  rolloutTone,
  stateWords,
  updatesHasTabs,
  whenWords,
  ZONE_OF_NODE,
} from "./rollout-text";

const NONE = { total: 0, held: 0, pending: 0, running: 0, passed: 0, worse: 0, failed: 0, unknown: 0, not_started: 0 };

test("counts name what is not zero, the worst first", () => {
  assert.equal(countsWords({ ...NONE, total: 40, passed: 12, held: 3, failed: 1 }), "12 of 40 passed, 1 failed, 3 held");
  assert.equal(countsWords({ ...NONE, total: 2, passed: 2 }), "2 of 2 passed");
});

test("a few packages are named, and the rest is a number", () => {
  assert.equal(packagesWords(["curl", "nginx"]), "curl, nginx");
  assert.equal(packagesWords(["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e and 2 more");
});

test("a success with a failure inside its limit is amber, and a stop is red", () => {
  assert.equal(rolloutTone({ state: "succeeded", waits: false, targets: NONE }), "ok");
  assert.equal(rolloutTone({ state: "succeeded", waits: false, targets: { ...NONE, failed: 1 } }), "warn");
  assert.equal(rolloutTone({ state: "stopped", waits: false, targets: NONE }), "crit");
  assert.equal(rolloutPhase("ready"), "open");
  assert.equal(rolloutPhase("holding"), "going");
  assert.equal(rolloutPhase("expired"), "over");
});

test("a roll-out that runs and is at work on nothing does not look as if it ran", () => {
  const one = { state: "running", waits: true, targets: NONE } as const;
  assert.deepEqual([stateWords(one), rolloutTone(one)], ["Waiting", "wait"]);
  assert.deepEqual([stateWords({ ...one, waits: false }), rolloutTone({ ...one, waits: false })], ["Running", "run"]);
});

test("a user with rights on one server has the tabs of patching, and the owner of one server none", () => {
  assert.deepEqual([updatesHasTabs(1, true), updatesHasTabs(1, false), updatesHasTabs(2, false)], [true, false, true]);
});

test("each form of a calendar has its words", () => {
  assert.equal(whenWords({ weekly: ["mon", "wed"] }), "Mon, Wed");
  assert.equal(whenWords({ monthly: { nth: "second", day: "tue" } }), "second Tue of each month");
  assert.equal(whenWords({ every_weeks: { weeks: 2, days: ["sat"], since: "2026-12-05" } }), "every 2 weeks on Sat");
  assert.equal(whenWords({ once: "2026-12-24" }), "once, on 2026-12-24");
});

test("a time of each node is told as its local time, also where it is another day here", () => {
  const begins = Date.UTC(2026, 11, 3, 12, 30) / 1000;
  assert.equal(nextWords(begins, "02:30", ZONE_OF_NODE, begins), "2026-12-04 02:30");
  assert.equal(beginWords(begins, "2026-12-04 02:30", ZONE_OF_NODE, begins), "2026-12-04 02:30");
  assert.equal(nextWords(begins, "02:30", "Europe/Budapest", begins), timeOrDate(begins, begins));
});
