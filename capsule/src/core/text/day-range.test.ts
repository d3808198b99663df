import assert from "node:assert/strict";
import { test } from "node:test";
import { isWithin, parseDays, spanOf } from "./day-range";

const asked = (query: string) => {
  const parts = new URLSearchParams(query);
  return parseDays((name) => parts.get(name));
};
const at = (text: string): number => new Date(text).getTime() / 1000;

test("a range of days has its first and its whole last day", () => {
  const span = spanOf(asked("from=2026-11-24&to=2026-11-26"));
  assert.deepEqual(span, { from: at("2026-11-24T00:00:00"), to: at("2026-11-27T00:00:00") });
  for (const inside of ["2026-11-24T00:00:00", "2026-11-26T23:59:59"]) assert.ok(isWithin(at(inside), span), inside);
  for (const outside of ["2026-11-23T23:59:59", "2026-11-27T00:00:00"]) assert.ok(!isWithin(at(outside), span), outside);
});

test("a side without a day has no limit, and an invalid day is ignored", () => {
  assert.deepEqual(spanOf(asked("to=2026-12-31")), { from: undefined, to: at("2027-01-01T00:00:00") });
  for (const query of ["", "from=", "from=yesterday", "from=2026-02-30&to=2026-13-01", "from=1"])
    assert.deepEqual(asked(query), { from: "", to: "" }, query);
  assert.ok(isWithin(0, spanOf(asked(""))));
});
