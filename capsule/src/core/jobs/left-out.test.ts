import assert from "node:assert/strict";
import { test } from "node:test";
import { leftOutReasons } from "./left-out";

const job = (node_id: string, state = "succeeded", message = "") => ({
  node_id,
  state,
  planned: state === "succeeded",
  error: message ? { message } : null,
});

test("an order says of every chosen node without a job why, and each reason once", () => {
  const order = { jobs: [{ node_id: "a" }], refused: [] };
  const plans = {
    jobs: [
      job("a"),
      job("b"),
      job("c"),
      job("d"),
      job("e"),
      job("f", "failed", "f has no room"),
      job("g", "cancelled"),
      job("h", "expired"),
    ],
    refused: [
      { node_id: "i", message: "i does not allow plan" },
      { node_id: "k", message: "k does not allow plan" },
    ],
  };
  const steps = new Map([
    ["b", 0],
    ["c", 0],
    ["d", 3],
  ]);
  assert.deepEqual(
    leftOutReasons(order, plans, steps, (node) => node),
    [
      ["it does not allow plan", ["i", "k"]],
      ["its plan has nothing to do", ["b", "c"]],
      ["not ordered there", ["d"]],
      ["its plan has nothing to do, or it was not ordered there", ["e"]],
      ["no plan: it has no room", ["f"]],
      ["its plan was not waited for", ["g"]],
      ["no plan was reported", ["h"]],
    ],
  );
});

test("without plans, an order has only what the hub refused", () => {
  const order = { jobs: [{ node_id: "a" }], refused: [{ node_id: "b", message: "there is no node b" }] };
  assert.deepEqual(
    leftOutReasons(order, null, new Map(), () => ""),
    [["there is no node b", ["b"]]],
  );
});
