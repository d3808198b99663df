import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "./http";

test("an error detail of the hub becomes a sentence on the page", () => {
  const detail = (said: string, field?: string): string => new ApiError("conflict", 409, said, field ? { field } : {}).detail;
  assert.equal(detail("there is a node named cache-01 already"), "There is a node named cache-01 already.");
  assert.equal(detail("your role (viewer) does not allow this"), "Your role (viewer) does not allow this.");
  assert.equal(detail("target.url: no message may go to 127.0.0.1"), "Url: no message may go to 127.0.0.1.");
  assert.equal(detail("quiet_hours.zone: there is no time zone X"), "Zone: there is no time zone X.");
  assert.equal(detail("max_failed: 0 to 1000"), "Accepted failures: 0 to 1000.");
  assert.equal(detail("jump.sudo_password must be one line", "jump.sudo_password"), "Sudo password must be one line.");
  assert.equal(detail("name must have a letter, name: too", "name"), "Name must have a letter, name: too.");
  assert.equal(detail("a_node must stay", "a"), "A_node must stay.");
  for (const kept of ["Ground Control could not be reached.", "Is it there?", ""]) assert.equal(detail(kept), kept);
});
