import assert from "node:assert/strict";
import { test } from "node:test";
import { offlineReason, RESTARTED } from "./offline-reason";

const STARTED = 1000;
const SEEN = 990;
const event = (at: number, type = "job_succeeded", node_id = "db-01", how = "") => ({ at, type, node_id, details: { how } });
/** This many events of other nodes, newest first, back to the one of `oldest`. */
const since = (oldest: number, count: number) =>
  Array.from({ length: count }, (_, n) => event(oldest + count - 1 - n, "node_online", "web-01"));
const gone = (events: Parameters<typeof offlineReason>[3], seen = SEEN): string | undefined =>
  offlineReason("db-01", seen, STARTED, events);

test("a hub restart is the reason only if the known events reach back to when the node was last seen", () => {
  assert.equal(gone([]), RESTARTED);
  assert.equal(gone(since(STARTED, 49)), RESTARTED, "all events that there are");
  assert.equal(gone(since(SEEN - 1, 50)), RESTARTED);
  assert.equal(gone(since(SEEN - 1, 200)), RESTARTED);
  for (const count of [50, 51, 200])
    for (const oldest of [SEEN, STARTED])
      assert.equal(gone(since(oldest, count)), undefined, `its leaving may stand before the ${count} events since ${oldest}`);
});

test("the reason in an event comes first, and counts for its own outage only", () => {
  const left = (at: number) => event(at, "node_offline", "db-01", "cut");
  assert.equal(gone([...since(STARTED, 60), left(SEEN)]), "cut");
  assert.equal(gone([left(SEEN - 1)]), RESTARTED);
  assert.equal(gone([event(SEEN, "node_offline", "web-01", "cut"), event(SEEN)]), RESTARTED);
});

test("a node that was seen since the hub started, or never, is not offline because of it", () => {
  assert.equal(gone([], STARTED), undefined);
  assert.equal(gone([], 0), undefined);
});
