import assert from "node:assert/strict";
import { test } from "node:test";
import { eventFits, isOwnWindow, newerEvents, eventsCsv, eventSearch, eventText, parseEventQuery } from "./event-text";

const nameOf = (id: string): string | undefined => (id === "n1" ? "web-01" : undefined);
const hub = { source: "hub", node_id: "n1", message: "in English", details: {} };

test("an event of a job uses the labels of the buttons", () => {
  const of = (action: string, state: string): string =>
    eventText({ ...hub, type: `job_${state}`, details: { job: "1", action, name: "on" } }, nameOf);
  assert.equal(of("full-upgrade", "succeeded"), "Full upgrade on on: succeeded");
  assert.equal(of("refresh", "unknown"), "Refresh package lists on on: outcome unknown");
  assert.equal(of("of-tomorrow", "failed"), "of-tomorrow on on: failed");
});

test("a text of the hub's events uses their fields, with the name that the node had then", () => {
  assert.equal(eventText({ ...hub, type: "node_online" }, nameOf), "web-01 is online");
  assert.equal(eventText({ ...hub, type: "node_online", details: { name: "old" } }, nameOf), "old is online");
  assert.equal(
    eventText({ ...hub, type: "unit_failed", source: "agent", details: { unit: "a.service" } }, nameOf),
    "a.service failed on web-01",
  );
  assert.equal(
    eventText({ ...hub, type: "expected_backup_missed", details: { event: "backup_completed", due: "05:00" } }, nameOf),
    "web-01: backup_completed did not arrive by 05:00",
  );
});

test("the event's own message is shown for programs, for a missing field, and for an unknown type", () => {
  for (const one of [
    { ...hub, type: "backup_failed", source: "agent" },
    { ...hub, type: "unit_failed", source: "api", details: { unit: "a.service" } },
    { ...hub, type: "job_failed" },
    { ...hub, type: "node_online", node_id: null },
    { ...hub, type: "of_tomorrow" },
    { ...hub, type: "constructor" },
  ])
    assert.equal(eventText(one, nameOf), "in English");
});

test("the CSV of events has the page's texts", () => {
  const one = { ...hub, at: 1_700_000_000, severity: "warning", type: "job_unknown", details: { action: "full-upgrade" } };
  const rows = eventsCsv([one, { ...one, type: "fleet_renamed", node_id: null, message: "as it is" }], nameOf).split("\r\n");
  assert.equal(rows[1], "2023-11-14T22:13:20.000Z,warning,job_unknown,hub,web-01,n1,Full upgrade on web-01: outcome unknown");
  assert.match(rows[2] ?? "", /,hub,,,as it is$/);
});

test("a live event is shown where the hub would list it", () => {
  const one = { ...hub, type: "expected_backup_completed_missed", severity: "error", at: 100 };
  for (const only of [
    {},
    { group: "alert" },
    { severity: "error,info" },
    { type: one.type },
    { search: "ENGLISH" },
    { from: 100, to: 101 },
  ])
    assert.ok(eventFits(one, only));
  for (const only of [{ group: "hub" }, { severity: "info" }, { type: "node_online" }, { search: "french" }, { from: 101 }, { to: 100 }])
    assert.ok(!eventFits(one, only));
});

test("the shown text of an event can be searched", () => {
  assert.equal(eventSearch("Full upgrade on web"), "full-upgrade on web");
  assert.equal(eventSearch("refresh package lists"), "refresh");
  assert.equal(eventSearch("full-upgrade"), "full-upgrade");
  assert.equal(eventSearch("plane"), "plane");
});

test("an event is found by the first two words of its label, but not by one word", () => {
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
  const all = { severity: "", type: "", group: "", search: "" };
  assert.deepEqual(asked(""), all);
  assert.deepEqual(asked("severity=error,warning&group=job&q= web "), { ...all, severity: "error,warning", group: "job", search: "web" });
  assert.deepEqual(asked("type=node_offline"), { ...all, type: "node_offline" });
  assert.deepEqual(asked("severity=bogus,error&type=constructor&group=constructor"), { ...all, severity: "error" });
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

test("the windows of jobs and deployments are told from those of people", () => {
  const of = (type: string, origin: string): boolean => isOwnWindow({ type, details: { origin } });
  assert.deepEqual(
    [
      of("maintenance_opened", "job"),
      of("maintenance_closed", "deployment"),
      of("maintenance_opened", "user"),
      of("maintenance_overran", "job"),
    ],
    [true, true, false, false],
  );
});
