import assert from "node:assert/strict";
import { test } from "node:test";
import { refusalText } from "./forbidden";

test("what a role may not do is said in the page's words, all else that stands in the way in the hub's", () => {
  const text = (detail: string, code = "auth.forbidden"): string => refusalText({ code, detail });
  assert.equal(text("the role 'viewer' may not do this (deployment.create)"), "Your role does not allow this.");
  const tag = "your rights are limited to some nodes: give the new one a tag that you are granted";
  assert.equal(text(tag), "Your rights are limited to some nodes: give the new one a tag that you are granted");
  assert.equal(text("the role of web-01 is taken", "conflict"), "The role of web-01 is taken");
});

test("a refusal begins with a capital letter, and a name with the one it has", () => {
  const text = (detail: string): string => refusalText({ code: "conflict", detail });
  assert.equal(text("there is a node named cache-01 already"), "There is a node named cache-01 already");
  assert.equal(text("a node's name has 1 to 100 visible characters"), "A node's name has 1 to 100 visible characters");
  for (const kept of ["moon is being deployed: cancel that first", "grants.tags holds tags", "anne is operator: a token cannot be admin", "Ground Control could not be reached.", ""]) assert.equal(text(kept), kept);
});
