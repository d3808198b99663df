import assert from "node:assert/strict";
import { test } from "node:test";
import { findView, withoutView, withView } from "./saved-views";

const views = [
  { name: "Prod", query: "q=prod" },
  { name: "By tag", query: "group=tag" },
];
const names = (found: readonly { name: string }[]): string => found.map(({ name }) => name).join();

test("a view is appended, replaces the one of its name, or returns to its place", () => {
  assert.equal(names(withView(views, { name: "new", query: "" })), "Prod,By tag,new");
  assert.deepEqual(withView(views, { name: "prod", query: "q=x" }), [{ name: "prod", query: "q=x" }, views[1]]);
  assert.equal(names(withView(views, { name: "back", query: "" }, 1)), "Prod,back,By tag");
  assert.equal(names(withView([], { name: "back", query: "" }, 3)), "back");
});

test("only the view of this name is removed", () => {
  assert.equal(names(withoutView(views, "by TAG")), "Prod");
  assert.equal(names(withoutView(views, "gone")), "Prod,By tag");
  assert.equal(findView(views, "gone"), undefined);
});
