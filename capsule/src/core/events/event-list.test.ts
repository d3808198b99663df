import assert from "node:assert/strict";
import { test } from "node:test";
import { prependEvent } from "./event-list";

const event = (at: number, id = `e${at}`) => ({ id, at });
const after = (...came: ReturnType<typeof event>[]) =>
  came.reduce<readonly ReturnType<typeof event>[]>((held, one) => prependEvent(held, one), []);
const names = (events: readonly { id: string }[]): string[] => events.map((one) => one.id);

test("the last received event comes first, whatever the hub's clock showed", () => {
  const held = after(event(10), event(20), event(30));
  assert.deepEqual(names(held), ["e30", "e20", "e10"]);
  assert.deepEqual(names(prependEvent(held, event(15))), ["e15", "e30", "e20", "e10"]);
  assert.deepEqual(names(prependEvent(held, event(20, "told later"))), ["told later", "e30", "e20", "e10"]);
});

test("an event that arrives again keeps its position", () => {
  const held = after(event(10), event(20));
  const again = event(10);
  assert.deepEqual(names(prependEvent(held, again)), names(held));
  assert.equal(prependEvent(held, again)[1], again);
});

test("the events that were received first are dropped, even if the hub's clock was ahead then", () => {
  const full = after(...Array.from({ length: 200 }, (_, n) => event(n + 1)));
  assert.equal(full.length, 200);
  const held = prependEvent(full, event(0));
  assert.equal(held.length, 200);
  assert.deepEqual([held[0]?.id, held.at(-1)?.id], ["e0", "e2"]);
});
