import assert from "node:assert/strict";
import { test } from "node:test";
import { signal } from "@preact/signals";
import { Button } from "./button";
import { setHub } from "./hub-link";

const lostSince = signal<number | null>(null);
setHub({ lostSince, retryIn: signal(null), connections: signal(0), tryNow: () => undefined, answers: async () => true });

/** How often a press runs the button's action, and the button's title. */
function pressed(props: Parameters<typeof Button>[0]): [number, string | undefined] {
  let runs = 0;
  const { onClick, title } = Button({ ...props, onClick: () => (runs += 1) }).props as {
    onClick: (event: { preventDefault: () => void }) => void;
    title?: string;
  };
  onClick({ preventDefault: () => undefined });
  return [runs, title];
}

test("what asks the hub for something says why it does nothing while the hub is out of reach", () => {
  assert.deepEqual(pressed({ busy: false }), [1, undefined]);
  lostSince.value = 1;
  const why = "Not while Ground Control cannot be reached";
  assert.deepEqual(pressed({ busy: false }), [0, why]);
  assert.deepEqual(pressed({ acts: true, name: "Stop" }), [0, why]);
  assert.deepEqual(pressed({}), [1, undefined], "it opens or closes something");
  assert.deepEqual(pressed({ busy: false, acts: false }), [1, undefined]);
  lostSince.value = null;
  assert.deepEqual(pressed({ acts: true, name: "Stop" }), [1, "Stop"]);
});
