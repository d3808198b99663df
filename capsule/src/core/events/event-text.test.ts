import assert from "node:assert/strict";
import { test } from "node:test";
import { newerEvents, eventsCsv, eventSearch, eventText, parseEventQuery } from "./event-text";

test("an event of a job uses the labels of the buttons", () => {
  const of = (action: string, state: string, message: string): string => eventText({ type: `job.${state}`, message, details: { job: "1", action, changes: 0 } });
  assert.equal(of("full-upgrade", "succeeded", "full-upgrade on web-01: succeeded"), "Full upgrade on web-01: succeeded");
  assert.equal(of("refresh", "unknown", "refresh on on: unknown: unknown"), "Refresh package lists on on: unknown: outcome unknown");
  assert.equal(of("of-tomorrow", "failed", "of-tomorrow on web-01: failed"), "of-tomorrow on web-01: failed");
});

test("the CSV of events has the page's texts", () => {
  const one = { at: 1_700_000_000, severity: "warning", type: "job.unknown", source: "ground control", node_id: "n1", message: "full-upgrade on web-01: unknown", details: { action: "full-upgrade" } };
  const rows = eventsCsv([one, { ...one, type: "fleet.renamed", node_id: null, message: "as it is" }], (id) => (id === "n1" ? "web-01" : undefined)).split("\r\n");
  assert.equal(rows[1], "2023-11-14T22:13:20.000Z,warning,job.unknown,ground control,web-01,n1,Full upgrade on web-01: outcome unknown");
  assert.match(rows[2] ?? "", /,ground control,,,as it is$/);
});

test("all other events keep the hub's text", () => {
  assert.equal(eventText({ type: "node.online", message: "refresh on web-01: online", details: { action: "refresh" } }), "refresh on web-01: online");
  assert.equal(eventText({ type: "job.failed", message: "something else", details: {} }), "something else");
});

test("the shown text of an event can be searched", () => {
  assert.equal(eventSearch("Full upgrade on web"), "full-upgrade on web");
  assert.equal(eventSearch("refresh package lists"), "refresh");
  assert.equal(eventSearch("full-upgrade"), "full-upgrade");
  assert.equal(eventSearch("plane"), "plane");
});

test("so can its beginning of two words or more: one word is ambiguous", () => {
  assert.equal(eventSearch("Check f"), "check");
  assert.equal(eventSearch("check for up"), "check");
  assert.equal(eventSearch("remove u"), "autoremove");
  assert.equal(eventSearch("Replace k"), "rekey");
  assert.equal(eventSearch("new"), "new");
  assert.equal(eventSearch("full"), "full");
  assert.equal(eventSearch("check fo web"), "check fo web");
});

test("a state is searched by the hub's name for it", () => {
  assert.equal(eventSearch("Outcome unknown"), "unknown");
  assert.equal(eventSearch("outcome un"), "unknown");
  assert.equal(eventSearch("web-01: outcome unknown"), "web-01: unknown");
  assert.equal(eventSearch("Refresh package lists on on: unknown: outcome unknown"), "refresh on on: unknown: unknown");
  assert.equal(eventSearch("Check for updates on web-02: succeeded"), "check on web-02: succeeded");
  assert.equal(eventSearch("the outcome"), "the outcome");
  assert.equal(eventSearch("web-01: out"), "web-01: out");
});

test("invalid filters in the address are ignored", () => {
  const asked = (query: string) => {
    const parts = new URLSearchParams(query);
    return parseEventQuery((name) => parts.get(name));
  };
  assert.deepEqual(asked(""), { severity: "", type: "", search: "" });
  assert.deepEqual(asked("severity=error,warning&type=job&q= web "), { severity: "error,warning", type: "job", search: "web" });
  assert.deepEqual(asked("type=node.offline"), { severity: "", type: "node.offline", search: "" });
  assert.deepEqual(asked("severity=bogus,error&type=constructor"), { severity: "error", type: "", search: "" });
  assert.equal(asked(`type=node.${"x".repeat(100)}`).type, "");
  assert.equal(asked(`q=${"x".repeat(200)}`).search.length, 100);
});

test("events since a list was read come before its items, whatever their time", () => {
  const events = (...ids: string[]) => ids.map((id) => ({ id }));
  const live = events("d", "c", "b", "a");
  assert.deepEqual(newerEvents(live, events("c", "b")), events("d"));
  assert.deepEqual(newerEvents(live, events("d", "c")), []);
  assert.deepEqual(newerEvents(live, events("of before")), live);
  assert.deepEqual(newerEvents(live, []), live);
});
