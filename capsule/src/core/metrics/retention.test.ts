import assert from "node:assert/strict";
import { test } from "node:test";
import { retentionError, parseRetention, retentionText, lossName, lossText, shortenedTiers } from "./retention";

test("a duration is parsed as people write it, and formatted so that parsing gives the same", () => {
  for (const seconds of [7200, 86_400, 90_000, 30 * 86_400, 400 * 86_400, 7261])
    assert.equal(parseRetention(retentionText(seconds)), seconds);
  assert.equal(retentionText(86_400), "24 h");
  assert.equal(retentionText(30 * 86_400), "30 d");
  assert.equal(parseRetention("1.5 d"), 129_600);
  assert.equal(parseRetention("1,5d"), 129_600);
  assert.equal(parseRetention("2 Y"), 63_072_000);
  for (const wrong of ["", "3", "d", "-3 d", "3 parsecs", "1e9 d"]) assert.equal(parseRetention(wrong), null);
});

test("a value that the hub would refuse is reported before the request", () => {
  assert.equal(retentionError("24 h"), "");
  assert.match(retentionError("1 h"), /At least 2 h/);
  assert.match(retentionError("11 y"), /at most 10 years/);
  assert.match(retentionError("7 d", "30 d"), /as long as for the finer/);
  assert.equal(retentionError("30 d", "30 d"), "");
  assert.equal(retentionError("30 d", "nonsense"), "");
});

const DAY_S = 86_400;
const TIERS = [
  { tier: "1s", kept_s: DAY_S, bytes_per_value: 0.5, values_per_day: 4 * 1024 * 1024 },
  { tier: "1m", kept_s: 30 * DAY_S, bytes_per_value: 2, values_per_day: 1024 },
  { tier: "1h", kept_s: 400 * DAY_S, bytes_per_value: 4, values_per_day: 64 },
] as const;

test("only tiers with a shorter retention become shorter", () => {
  const of = (wanted: Parameters<typeof shortenedTiers>[1]): string =>
    shortenedTiers(TIERS, wanted)
      .map(({ tier }) => tier)
      .join();
  assert.equal(of({}), "");
  assert.equal(of({ "1s": 2 * DAY_S, "1m": 30 * DAY_S }), "");
  assert.equal(of({ "1s": DAY_S - 1, "1m": 31 * DAY_S, "1h": 300 * DAY_S }), "1s,1h");
});

test("a loss names the tier, the moment and the size, and the year if it is not the current year", () => {
  const now = new Date(2026, 10, 22, 15, 0).getTime() / 1000;
  const text = lossText(TIERS[0], DAY_S / 2, now).replaceAll("\u00a0", " ");
  assert.match(text, /^Per second: everything before 03:00 \(older than 12 h; until now 24 h were kept\), up to about 1\.00 MiB\.$/);
  assert.match(lossText(TIERS[0], DAY_S * 0.9, now).replaceAll("\u00a0", " "), /before 21 Nov, 17:24/);
  assert.match(lossText(TIERS[2], 365 * DAY_S, now).replaceAll("\u00a0", " "), /^Per hour: everything before 22 Nov 2025, 15:00 /);
});

test("one tier is confirmed by its name, several by their number", () => {
  assert.equal(lossName([TIERS[1]]), "Per minute");
  assert.equal(lossName([TIERS[1], TIERS[2]]), "2");
});
