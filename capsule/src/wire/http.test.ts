import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "./http";

test("an error detail of the hub becomes a sentence on the page", () => {
  const detail = (said: string): string => new ApiError("conflict", 409, said).detail;
  assert.equal(detail("there is a node named cache-01 already"), "There is a node named cache-01 already.");
  assert.equal(detail("your role (viewer) does not allow this"), "Your role (viewer) does not allow this.");
  assert.equal(detail("target.url: no message may go to 127.0.0.1"), "Url: no message may go to 127.0.0.1.");
  assert.equal(detail("quiet_hours.zone: there is no time zone X"), "Zone: there is no time zone X.");
  for (const kept of ["Ground Control could not be reached.", "Is it there?", ""]) assert.equal(detail(kept), kept);
});
