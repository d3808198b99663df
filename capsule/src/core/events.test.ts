import assert from "node:assert/strict";
import { test } from "node:test";
import { cameSince, eventSearch, eventText } from "./events";

test("an event of a job says what was done in the words of the buttons", () => {
  const of = (action: string, state: string, message: string): string => eventText({ type: `job.${state}`, message, details: { job: "1", action, changes: 0 } });
  assert.equal(of("full-upgrade", "succeeded", "full-upgrade on web-01: succeeded"), "Full upgrade on web-01: succeeded");
  assert.equal(of("refresh", "unknown", "refresh on on: unknown: unknown"), "Refresh package lists on on: unknown: outcome unknown");
  assert.equal(of("of-tomorrow", "failed", "of-tomorrow on web-01: failed"), "of-tomorrow on web-01: failed");
});

test("every other event is told as the hub tells it", () => {
  assert.equal(eventText({ type: "node.online", message: "refresh on web-01: online", details: { action: "refresh" } }), "refresh on web-01: online");
  assert.equal(eventText({ type: "job.failed", message: "something else", details: {} }), "something else");
});

test("what is shown of an event can be looked for", () => {
  assert.equal(eventSearch("Full upgrade on web"), "full-upgrade on web");
  assert.equal(eventSearch("refresh package lists"), "refresh");
  assert.equal(eventSearch("full-upgrade"), "full-upgrade");
  assert.equal(eventSearch("plane"), "plane");
});

test("what came since a list was read stands before all that it holds, whatever its time", () => {
  const events = (...ids: string[]) => ids.map((id) => ({ id }));
  const live = events("d", "c", "b", "a");
  assert.deepEqual(cameSince(live, events("c", "b")), events("d"));
  assert.deepEqual(cameSince(live, events("d", "c")), []);
  assert.deepEqual(cameSince(live, events("of before")), live);
  assert.deepEqual(cameSince(live, []), live);
});
