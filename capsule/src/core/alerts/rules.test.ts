import { targetError, targetFields } from "./channel-form";
import { neverReported, nothingYet } from "./schedule-text";
import assert from "node:assert/strict";
import { test } from "node:test";
import { alertValue, fieldNumber, fieldScale, fieldText, readingText } from "./alert-values";
import { expressionParts, metricExpression } from "./expression";
import { bodyOf, draftFaults, draftOf, NEW_DRAFT, type RuleDraft } from "./rule-draft";
import { previewSentence, ruleFits, ruleGroup, ruleSentence, selectWords, type RuleLike } from "./rule-text";

const rule = (part: Partial<RuleLike>): RuleLike => ({
  expr: "avg(cpu.total, 10m)",
  when: "above",
  warn: { trigger: 95, clear: 85 },
  crit: null,
  for_s: 0,
  unit: "percent",
  ...part,
});
const plain = (text: string): string => text.replaceAll("\u00a0", " ");

test("a rule reads as a sentence with its levels", () => {
  assert.equal(plain(ruleSentence(rule({}))), "CPU total, mean of 10 min: above 95% → warning");
  assert.equal(
    plain(ruleSentence(rule({ crit: { trigger: 98, clear: 90 }, for_s: 300 }))),
    "CPU total, mean of 10 min: above 95% → warning · above 98% → critical, for 5 min",
  );
  assert.equal(
    plain(ruleSentence(rule({ expr: "detector(filesystem_fills)", when: "below", warn: { trigger: 72, clear: 96 }, unit: "hours" }))),
    "Time until a file system is full: below 72 hours → warning",
  );
});

test("a rule is found by words of its name and its sentence, in any case", () => {
  const named = { ...rule({}), name: "CPU fully used" };
  assert.deepEqual(
    ["", "cpu", "FULLY mean", "fully disk"].map((search) => ruleFits(named, search)),
    [true, true, true, false],
  );
});

test("a rule that fires at any value has no number", () => {
  assert.equal(
    plain(ruleSentence(rule({ expr: "state(unit_failed)", warn: { trigger: 0, clear: 0 }, for_s: 120, unit: "flag" }))),
    "A service has failed, for 2 min → warning",
  );
  assert.equal(
    plain(ruleSentence(rule({ expr: "event(node_cloned)", warn: null, crit: { trigger: 0, clear: 0 }, unit: "flag" }))),
    "Event node cloned → critical",
  );
  const failed = { warn: { trigger: 0, clear: 0 }, crit: { trigger: 0.5, clear: 0.5 }, unit: "flag" };
  assert.equal(
    plain(ruleSentence(rule({ expr: "event(backup_failed)", ...failed }))),
    "Event backup failed → warning · reported as an error → critical",
  );
  assert.equal(
    plain(ruleSentence(rule({ expr: "event(custom{name=off-site})", ...failed, warn: { trigger: 0.25, clear: 0.25 } }))),
    "Event off-site reported as a warning or an error → warning · reported as an error → critical",
  );
  assert.equal(
    plain(
      ruleSentence(
        rule({ expr: "detector(memory_oom)", warn: { trigger: 0, clear: 0 }, crit: { trigger: 10, clear: 5 }, unit: "processes" }),
      ),
    ),
    "Killed programs in 5 min: above 0 processes → warning · above 10 processes → critical",
  );
  const missed = rule({ expr: "state(deadline_missed)", warn: { trigger: 0, clear: 0 }, crit: { trigger: 1, clear: 1 }, unit: "level" });
  assert.equal(plain(ruleSentence(missed)), "An expected event is missing → warning or critical, as the deadline says");
});

test("an unknown expression is shown as it is", () => {
  assert.equal(ruleSentence(rule({ expr: "share_above(x)" })), "Share_above(x): above 95% → warning");
  assert.equal(ruleSentence(rule({ expr: "state(new_thing)", unit: "" })), "New thing: above 95 → warning");
});

test("the parts of an expression make the same expression again", () => {
  for (const [text, label] of [
    ["avg(cpu.total, 10m)", ""],
    ["max(filesystem.used_percent{mount=/var}, 6h)", "mount"],
    ["last(md.missing)", ""],
    ["rate(memory.oom_kills, 45s)", ""],
  ] as const) {
    const parts = expressionParts(text);
    assert.ok(parts.kind === "metric");
    assert.equal(metricExpression(parts, label), text);
  }
  assert.deepEqual(expressionParts("detector(filesystem_space, warning_free_gib=50)"), { kind: "detector", name: "filesystem_space" });
  assert.deepEqual(expressionParts("avg(cpu.total"), { kind: "other" });
});

test("values have their unit", () => {
  assert.equal(plain(alertValue(97.25, "percent")), "97.3%");
  assert.equal(plain(alertValue(0.25, "seconds")), "0.25 s");
  assert.equal(plain(alertValue(259_200, "seconds")), "3 d");
  assert.equal(plain(alertValue(85, "celsius")), "85 °C");
  assert.equal(plain(readingText(97, 90, "percent")), "97%, limit 90%");
  assert.equal(readingText(1, 0, "flag"), "");
  assert.equal(readingText(null, 90, "percent"), "");
});

test("fields show a threshold in a unit for people", () => {
  const days = fieldScale("seconds", 259_200);
  assert.deepEqual([days.label, fieldText(259_200, days), fieldNumber("1,5", days)], ["days", "3", 129_600]);
  const size = fieldScale("bytes", 20 * 1024 ** 3);
  assert.deepEqual([size.label, fieldText(20 * 1024 ** 3, size)], ["GiB", "20"]);
  assert.equal(fieldNumber("", days), null);
  assert.equal(fieldNumber("many", days), null);
});

const DRAFT: RuleDraft = { ...NEW_DRAFT, name: "Busy" };

test("a draft has an error text for each fault", () => {
  assert.deepEqual(draftFaults(DRAFT), []);
  assert.equal(draftFaults({ ...DRAFT, warn: null }).length, 1);
  assert.equal(draftFaults({ ...DRAFT, warn: { trigger: 90, clear: 95 } }).length, 1);
  assert.equal(draftFaults({ ...DRAFT, when: "below" }).length, 1);
  assert.equal(draftFaults({ ...DRAFT, crit: { trigger: 80, clear: 70 } }).length, 1);
  assert.equal(draftFaults({ ...DRAFT, select: { tags: [], nodes: [] } }).length, 1);
  assert.equal(draftFaults({ ...DRAFT, for_s: 604_801 }).length, 1);
});

test("a draft becomes a body only when all its numbers are given", () => {
  assert.equal(bodyOf({ ...DRAFT, crit: { trigger: null, clear: 1 } }), null);
  const exception = {
    select: { all: false, tags: ["db"], nodes: [] },
    enabled: false,
    warn: { trigger: null, clear: null },
    crit: null,
    for_s: 60,
  };
  assert.equal(bodyOf({ ...DRAFT, overrides: [{ ...exception, enabled: null }] }), null);
  assert.deepEqual(bodyOf({ ...DRAFT, overrides: [exception] })?.overrides, [{ ...exception, warn: null }]);
});

test("an exception is checked together with the rule's levels that it does not replace", () => {
  const exception = {
    select: { all: false, tags: ["db"], nodes: [] },
    enabled: null,
    warn: null,
    crit: { trigger: 80, clear: 70 },
    for_s: null,
  };
  assert.deepEqual(draftFaults({ ...DRAFT, overrides: [exception] }), ["The critical level must start after the warning."]);
  assert.deepEqual(draftFaults({ ...DRAFT, overrides: [{ ...exception, warn: { trigger: 75, clear: 70 } }] }), []);
  assert.equal(draftFaults({ ...DRAFT, overrides: [{ ...exception, crit: { trigger: 95, clear: 96 } }] }).length, 1);
});

test("the hidden levels of an exception that is off are sent only if they are valid", () => {
  const off = { select: { all: false, tags: ["db"], nodes: [] }, enabled: false, warn: null, crit: { trigger: 80, clear: 70 }, for_s: 60 };
  const draft = { ...DRAFT, overrides: [off] };
  assert.deepEqual(draftFaults(draft), []);
  assert.deepEqual(bodyOf(draft)?.overrides, [{ ...off, crit: null }]);
  const right = { ...off, crit: { trigger: 95, clear: 90 } };
  assert.deepEqual(bodyOf({ ...DRAFT, overrides: [right] })?.overrides, [right]);
});

test("a stored rule and its draft are the same", () => {
  const select = { all: false, tags: ["web"], nodes: [] };
  const stored = {
    name: "Busy",
    expr: "avg(cpu.total, 10m)",
    select,
    when: "above" as const,
    warn: { trigger: 90, clear: 80 },
    crit: null,
    for_s: 0,
    clear_s: 0,
    enabled: true,
    overrides: [{ select, enabled: null, warn: null, crit: { trigger: 99, clear: 90 }, for_s: null }],
  };
  assert.deepEqual(bodyOf(draftOf(stored)), stored);
  const on = { ...stored, overrides: stored.overrides.map((one) => ({ ...one, enabled: true, for_s: 60 })) };
  assert.deepEqual(bodyOf(draftOf(on)), on);
});

test("rules are grouped and their servers named", () => {
  assert.equal(ruleGroup({ origin: "user", kind: "rule", expr: "state(hub_disk_free)" }), "own");
  assert.equal(ruleGroup({ origin: "default", kind: "offline", expr: "state(hub_mass_offline)" }), "hub");
  assert.equal(ruleGroup({ origin: "default", kind: "cpu", expr: "avg(cpu.total, 10m)" }), "servers");
  assert.equal(selectWords({ all: true, tags: [], nodes: [] }, String), "all servers");
  assert.equal(plain(selectWords({ all: false, tags: ["web"], nodes: ["a", "b", "c"] }, String)), "tag web, 3 servers");
  assert.equal(selectWords({ all: false, tags: [], nodes: [] }, String), "no server");
});

test("a preview is one sentence", () => {
  const episode = (node_id: string): { node_id: string; told: boolean } => ({ node_id, told: true });
  assert.equal(
    plain(previewSentence({ would_fire: [episode("a"), episode("a"), episode("b")], told: 2, complete: true }, 7)),
    "Would have fired 3 times in the last 7 days on 2 servers, and notified you 2 times.",
  );
  assert.equal(
    plain(previewSentence({ would_fire: [episode("a")], told: 0, complete: true }, 7)),
    "Would have fired 1 time in the last 7 days on 1 server, and notified nobody.",
  );
  assert.equal(
    previewSentence({ would_fire: [], told: 0, complete: false }, 7),
    "Would not have fired in the last 7 days. The history does not cover all of it.",
  );
});

test("a field of a channel says what is wrong before anything is sent", () => {
  const said = (path: string, text: string, kind: "text" | "number" | "list" = "text"): string =>
    targetError({ path, kind, least: null, most: null }, text);
  for (const url of ["https://hooks.example.org/a", "http://[fd00::1]:8080/x", ""]) assert.equal(said("url", url), "");
  for (const url of ["not a url", "hooks.example.org", "ftp://example.org", "data:text/plain,x", "https://"])
    assert.match(said("url", url), /web address/);
  assert.match(said("url", "https://exämple.org/a"), /ASCII/);
  assert.match(said("url", `https://example.org/${"a".repeat(2000)}`), /2000/);
  assert.match(said("smtp.port", "ten", "number"), /whole number/);
  const [port] = targetFields({ properties: { port: { type: "integer", minimum: 1, maximum: 65535 } } });
  assert.ok(port);
  for (const number of ["0", "-1", "99999"]) assert.equal(targetError(port, number), "1 to 65535");
  for (const number of ["", "1", "587", "65535"]) assert.equal(targetError(port, number), "");
  assert.match(said("smtp.host", "https://mail.example.org"), /alone/);
  assert.equal(said("to", "a@example.org, Ops <b@example.org>", "list"), "");
  assert.match(said("to", "a@example.org, nobody", "list"), /“nobody”/);
});

test("a deadline that no server ever met is told from one that some met", () => {
  const day = (met: number, missed: number) => ({ met, arrived_late: 0, late: 0, missed });
  assert.equal(neverReported([day(0, 43), day(0, 42)]), 43);
  assert.equal(neverReported([day(0, 43), day(1, 42)]), 0);
  assert.equal(neverReported([]), 0);
});

test("a deadline without any result has no calendar of dashes", () => {
  const day = (met: number, missed: number, not_judged: number) => ({
    date: "2026-11-03",
    due_at: 0,
    met,
    arrived_late: 0,
    late: 0,
    missed,
    not_judged,
  });
  assert.equal(nothingYet([day(0, 0, 43), day(0, 0, 0)]), true);
  assert.equal(nothingYet([day(0, 0, 43), day(0, 1, 0)]), false);
  assert.equal(nothingYet([day(1, 0, 0)]), false);
});

test("a rule whose levels start at the same value says it once", () => {
  const rule = {
    expr: "avg(cpu.total, 10m)",
    when: "above" as const,
    warn: { trigger: 95, clear: 90 },
    crit: { trigger: 95, clear: 90 },
    for_s: 0,
    unit: "%",
  };
  assert.equal(ruleSentence(rule).match(/95/g)?.length, 1);
  assert.match(ruleSentence(rule), /critical/);
});
