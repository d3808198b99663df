import assert from "node:assert/strict";
import { test } from "node:test";
import { errorText } from "./error-text";

test("a missing right of a role has the page's text, and other refusals have the hub's", () => {
  const text = (detail: string, code = "auth.forbidden"): string => errorText({ code, detail });
  assert.equal(text("The role 'viewer' may not do this (deployment.create)."), "Your role does not allow this.");
  const tag = "Your rights are limited to some nodes: give the new one a tag that you are granted.";
  assert.equal(text(tag), tag);
  assert.equal(text("The role of web-01 is taken.", "conflict"), "The role of web-01 is taken.");
});
