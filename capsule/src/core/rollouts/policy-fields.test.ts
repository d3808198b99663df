import assert from "node:assert/strict";
import { test } from "node:test";
import {
  actionNamesError,
  actionTimeError,
  eventTimeError,
  eventTypeError,
  hasFieldError,
  onlyError,
  patternsError,
  probeError,
  RANGES,
  rangeError,
} from "./policy-fields";

test("patterns of packages are checked as in the hub, and none is in both lists", () => {
  assert.equal(patternsError(["postgresql-*", "libc6:i386"]), "");
  assert.match(patternsError(["rm -rf"]), /^rm -rf is not a name/);
  assert.match(patternsError(Array.from({ length: 101 }, (_, at) => `p${at}`)), /at most 100/);
  assert.equal(onlyError(["openssl"], ["curl"]), "");
  assert.match(onlyError(["openssl"], ["openssl"]), /^openssl is also left out/);
});

test("actions have a plain name and at most an hour", () => {
  assert.equal(actionNamesError(["drain", "set-noout"]), "");
  assert.match(actionNamesError(["../drain"]), /is not the name of an action/);
  assert.match(actionNamesError(Array.from({ length: 11 }, (_, at) => `a${at}`)), /at most 10/);
  assert.deepEqual([1, 3600].map(actionTimeError), ["", ""]);
  for (const wrong of [0, 1.5, 3601, Number.NaN]) assert.notEqual(actionTimeError(wrong), "");
});

test("a needed event has a name and a time of at most 90 days", () => {
  assert.deepEqual(["backup_completed", "expectation_missed:nightly"].map(eventTypeError), ["", ""]);
  assert.notEqual(eventTypeError("Backup done"), "");
  assert.deepEqual([60, 90 * 86_400].map(eventTimeError), ["", ""]);
  for (const wrong of [59, 90 * 86_400 + 1, Number.NaN]) assert.notEqual(eventTimeError(wrong), "");
});

test("a probe looks at the server itself only", () => {
  for (const right of ["http://localhost:8080/health", "https://[::1]/", "http://127.0.0.1"]) assert.equal(probeError("http", right), "");
  for (const wrong of ["http://example.org/", "http://localhost:0/", "http://localhost:65536", "localhost:80"])
    assert.match(probeError("http", wrong), /on the server itself/);
  assert.equal(probeError("tcp", "65535"), "");
  for (const wrong of ["0", "65536", "https", ""]) assert.match(probeError("tcp", wrong), /port/);
  assert.equal(probeError("unit", "nginx.service"), "");
  assert.match(probeError("unit", "nginx"), /unit of systemd/);
});

test("any field with an error makes the policy one that cannot be saved", () => {
  assert.equal(hasFieldError({}), false);
  assert.equal(hasFieldError({ before: [{ name: "drain" }], probes: [{ kind: "tcp", target: "80" }], needs_event: null }), false);
  assert.equal(hasFieldError({ after: [{ name: "drain", timeout_s: 0 }] }), true);
  assert.equal(hasFieldError({ probes: [{ kind: "tcp", target: "" }] }), true);
  assert.equal(hasFieldError({ needs_event: { type: "", within_s: 3600 } }), true);
  for (const percent of [0, 1.5, 101, Number.NaN]) assert.equal(hasFieldError({ order: { percent } }), true);
  const wrong = [
    { order: { canary: 11 } },
    { order: { at_once: 0 } },
    { max_failed: -1 },
    { watch_s: 240 },
    { max_per_role: 0 },
    { min_age_days: { other: 366 } },
    { min_age_days: { security: 0.5 } },
    { notice_h: 337 },
  ];
  const times = [
    { start: "" },
    { length_s: 0 },
    { length_s: 90_000 },
    { zone: "Europe/Budapst" },
    { zone: "europe/budapest" },
    { zone: "Europe/Budapest " },
    { zone: "" },
    { when: { weekly: [] } },
    { when: { once: "" } },
    { when: { every_weeks: { weeks: 53, days: ["tue" as const], since: "2026-12-24" } } },
    { when: { every_weeks: { weeks: 2, days: ["tue" as const], since: "" } } },
  ];
  for (const fields of [...wrong, ...times]) assert.equal(hasFieldError(fields), true, JSON.stringify(fields));
  const right = {
    when: { monthly: { nth: "last" as const, day: "fri" as const } },
    start: "02:30",
    length_s: 86_400,
    zone: "Europe/Budapest",
  };
  assert.deepEqual([right, { ...right, zone: "node" }, { ...right, zone: "UTC" }].map(hasFieldError), [false, false, false]);
  assert.equal(hasFieldError({ order: { canary: null, at_once: 100 }, max_failed: 1000, watch_s: 3600, notice_h: 336 }), false);
});

test("a number outside its range says the range", () => {
  for (const [field, [least, most]] of Object.entries(RANGES)) {
    const name = field as keyof typeof RANGES;
    assert.deepEqual(
      [least, most].map((value) => rangeError(name, value)),
      ["", ""],
    );
    for (const wrong of [least - 1, most + 1, least + 0.5, Number.NaN]) assert.equal(rangeError(name, wrong), `It is ${least} to ${most}.`);
  }
});
