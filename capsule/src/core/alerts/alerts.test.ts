import assert from "node:assert/strict";
import { test } from "node:test";
import { readingText } from "./alert-values";
import { flagWords, isNotice, openIncidents, tomorrow, type AlertLike, type IncidentLike } from "./alert-text";
import { targetComplete, targetFields, targetOf } from "./channel-form";
import { deliverySentence, isSettled, reasonWords, type DeliveryLike } from "./delivery-text";
import { dayState, daysWords, dayWords, deadlineWords, windowWords } from "./schedule-text";

const NOW = new Date(2026, 10, 26, 12, 0, 0).getTime() / 1000;
const plain = (text: string): string => text.replaceAll("\u00a0", " ");
const FLAGS = { acknowledged: false, snoozed_until: null, suppressed_by: null, stale: false, flapping: false, maintenance: null };
const alert = (id: string, part: Partial<AlertLike> = {}): AlertLike => ({
  id,
  rule_id: "cpu.load",
  rule_name: "Load",
  node_id: "n",
  object: "",
  level: "warning",
  state: "firing",
  since_at: 10,
  reason: null,
  flags: FLAGS,
  acknowledged_by: "",
  incident_id: "i",
  ...part,
});
type Incident = IncidentLike & { alerts: AlertLike[] };
const incident = (id: string, part: Partial<Incident> = {}): Incident => ({
  id,
  level: "warning",
  state: "open",
  since_at: 10,
  alerts: [],
  ...part,
});

test("flags are shown as words, and an ended snooze is not shown", () => {
  const flags = {
    ...FLAGS,
    acknowledged: true,
    snoozed_until: NOW + 3600,
    suppressed_by: "node.offline",
    stale: true,
    flapping: true,
    maintenance: "m",
  };
  assert.deepEqual(
    flagWords(alert("a", { flags, acknowledged_by: "ada" }), NOW, () => "Server does not answer").map(({ text }) => text),
    ["ada has it", "snoozed until 13:00", "because of: Server does not answer", "in maintenance", "changes too often", "no data now"],
  );
  assert.deepEqual(flagWords(alert("a", { flags: { ...FLAGS, snoozed_until: NOW - 1 } }), NOW, String), []);
});

test("an incident shows the newest view of each of its alerts, also of one that joined it later", () => {
  const known = new Map(
    [alert("a", { flags: { ...FLAGS, acknowledged: true } }), alert("b", { state: "resolved" }), alert("c", { level: "critical" })].map(
      (one) => [one.id, one],
    ),
  );
  const [group] = openIncidents([incident("i", { alerts: [alert("a"), alert("b")] })], known);
  assert.deepEqual(
    group?.firing.map(({ id, flags }) => [id, flags.acknowledged]),
    [
      ["c", false],
      ["a", true],
    ],
  );
  assert.equal(group?.ended, 1);
});

test("incidents are sorted by level, then by age, and ended ones are left out", () => {
  const list = [
    incident("old", { since_at: 1 }),
    incident("new", { since_at: 9 }),
    incident("bad", { level: "critical" }),
    incident("over", { state: "resolved" }),
  ];
  assert.deepEqual(
    openIncidents(list, new Map()).map((one) => one.incident.id),
    ["bad", "new", "old"],
  );
});

test("a snooze until tomorrow ends at eight in the morning of the next day", () => {
  assert.deepEqual(new Date(tomorrow(NOW) * 1000), new Date(2026, 10, 27, 8));
});

const delivery = (part: Partial<DeliveryLike>): DeliveryLike => ({
  kind: "firing",
  state: "sent",
  reason: "ready",
  attempts: 1,
  next_at: null,
  sent_at: NOW,
  ...part,
});

test("each decision about a message has its reason in words", () => {
  assert.equal(deliverySentence(delivery({}), NOW), "Sent");
  assert.equal(deliverySentence(delivery({ attempts: 3 }), NOW), "Sent at try 3");
  assert.equal(
    deliverySentence(delivery({ state: "skipped", reason: "never_told_firing" }), NOW),
    "Not sent: the channel was never notified that it began",
  );
  assert.equal(
    deliverySentence(delivery({ state: "deferred", reason: "quiet_hours", next_at: NOW + 3600 }), NOW),
    "Held until 13:00: quiet hours",
  );
  assert.equal(deliverySentence(delivery({ state: "failed", reason: "http:404" }), NOW), "Failed: the receiver answered 404");
  assert.equal(
    deliverySentence(delivery({ state: "due", reason: "smtp:451", next_at: NOW + 60 }), NOW),
    "Try 1 failed: the mail server answered 451. Next at 12:01",
  );
  assert.equal(reasonWords("something_new"), "something new");
  assert.equal(isSettled(delivery({ state: "due" })), false);
});

const SMTP = {
  type: "object",
  properties: {
    host: { type: "string" },
    port: { type: "integer", default: 587 },
    tls: { anyOf: [{ enum: ["implicit", "none"] }, { type: "boolean" }], default: true },
    password: { type: "string", writeOnly: true, default: "" },
  },
  required: ["host"],
};
const EMAIL = {
  $ref: "#/$defs/Email",
  $defs: {
    Email: {
      type: "object",
      properties: { smtp: { $ref: "#/$defs/Smtp" }, from: { type: "string" }, to: { type: "array" } },
      required: ["smtp", "from", "to"],
    },
    Smtp: SMTP,
  },
};

test("the schema of a channel's kind gives its fields, and their input gives its target", () => {
  const fields = targetFields(EMAIL);
  assert.deepEqual(
    fields.map(({ path, kind, secret, required }) => [path, kind, secret, required]),
    [
      ["smtp.host", "text", false, true],
      ["smtp.port", "number", false, false],
      ["smtp.tls", "choice", false, false],
      ["smtp.password", "text", true, false],
      ["from", "text", false, true],
      ["to", "list", false, true],
    ],
  );
  const typed = { "smtp.host": " mail.example ", "smtp.port": "25", "smtp.tls": "", from: "a@b.c", to: "d@e.f, g@h.i" };
  assert.equal(targetComplete(fields, typed), true);
  assert.equal(targetComplete(fields, { ...typed, to: " " }), false);
  assert.deepEqual(targetOf(fields, typed), { smtp: { host: "mail.example", port: 25 }, from: "a@b.c", to: ["d@e.f", "g@h.i"] });
});

test("days and maintenance windows are shown as words", () => {
  assert.equal(daysWords(["mon", "tue", "wed", "thu", "fri"]), "Mon–Fri");
  assert.equal(daysWords(["sun", "mon"]), "Mon, Sun");
  assert.equal(windowWords({ from_at: NOW, until_at: NOW + 3600, closed_at: null, weekly: null, zone: null }, NOW), "12:00 – 13:00");
  const closed = (closed_at: number): string =>
    windowWords({ from_at: NOW, until_at: NOW + 3600, closed_at, weekly: null, zone: null }, NOW);
  assert.deepEqual(
    [NOW + 120, NOW + 3660, NOW - 60].map(closed),
    ["12:00 – 12:02", "12:00 – 13:00", "12:00 – 13:00"],
    "ended early, closed late, cancelled before its start",
  );
  assert.equal(
    windowWords(
      { from_at: NOW, until_at: null, closed_at: null, weekly: { days: ["sun"], start: "22:00", end: "02:00" }, zone: "UTC" },
      NOW,
    ),
    "Sun 22:00–02:00 UTC",
  );
  assert.equal(
    plain(deadlineWords({ event: "backup_completed", by: "05:00", from: "00:00", zone: "UTC", days: ["mon"], grace_s: 900 })),
    "backup_completed by 05:00 UTC, Mon, 15 min of grace",
  );
});

test("a day shows its worst result", () => {
  const day = { date: "2026-11-03", due_at: NOW - 1, met: 3, arrived_late: 0, late: 1, missed: 1, not_judged: 0 };
  assert.equal(dayState(day, NOW), "missed");
  assert.equal(dayState({ ...day, missed: 0 }, NOW), "late");
  assert.equal(dayState({ ...day, missed: 0, late: 0 }, NOW), "met");
  assert.equal(dayState({ ...day, met: 0, missed: 0, late: 0, not_judged: 4 }, NOW), "not_judged");
  assert.equal(dayState({ ...day, met: 0, missed: 0, late: 0, due_at: NOW + 60 }, NOW), "coming");
  assert.equal(dayWords(day, NOW), "2026-11-03: 3 met, 1 late, 1 missed");
});

test("an incident is a notice while nobody is notified of its firing alerts", () => {
  assert.ok(isNotice({ firing: [{ notice: true }] }));
  assert.ok(!isNotice({ firing: [{ notice: true }, { notice: false }] }));
  assert.ok(!isNotice({ firing: [] }));
});

test("with a limit of 0 the text has no limit, and it is empty if the value adds nothing", () => {
  assert.deepEqual([readingText(23.9, 0, "seconds"), readingText(1, 0, "packages")], ["", ""]);
  assert.equal(plain(readingText(1.67, 0, "processes")), "2 processes");
  assert.equal(plain(readingText(0.4, 0.5, "seconds")), "0.4 s, limit 0.5 s");
  assert.equal(plain(readingText(12.345, 2, "seconds")), "12 s, limit 2 s");
});
