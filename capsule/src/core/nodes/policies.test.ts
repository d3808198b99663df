import assert from "node:assert/strict";
import { test } from "node:test";
import { policySummary } from "./policies";

test("what policies allow is counted, and one that is not known is neither allowed nor refused", () => {
  const policy = (mode: string, units: string[] = [], journal = "off") => ({ mode, units, journal });
  assert.equal(
    policySummary([policy("managed", ["nginx.service"], "all"), policy("managed"), policy("readonly", ["a.service"], "warning"), null]),
    "1 of 4 servers allows restarts of services, 2 the journal on demand, 2 are managed, 1 is not known.",
  );
});
