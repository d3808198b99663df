import assert from "node:assert/strict";
import { test } from "node:test";
import { OutputThrottle, SLICE_BYTES } from "./output-throttle";

function screen() {
  const shown: number[] = [];
  const left: number[] = [];
  let done: (() => void) | null = null;
  const feed = new OutputThrottle({
    write: (bytes, then) => {
      shown.push(bytes.length);
      done = then;
    },
    skipped: (bytes) => left.push(bytes),
  });
  const step = (): void => {
    const then = done;
    done = null;
    then?.();
  };
  return { feed, shown, left, step };
}

test("a large chunk is written in slices, each after the one before", () => {
  const { feed, shown, step } = screen();
  feed.push(new Uint8Array(SLICE_BYTES * 2 + 5));
  assert.deepEqual(shown, [SLICE_BYTES]);
  assert.equal(feed.waiting, SLICE_BYTES + 5);
  step();
  step();
  step();
  assert.deepEqual(shown, [SLICE_BYTES, SLICE_BYTES, 5]);
  assert.equal(feed.waiting, 0);
});

test("paused output waits and continues where it stopped", () => {
  const { feed, shown, step } = screen();
  feed.hold();
  feed.push(new Uint8Array(3));
  feed.push(new Uint8Array(4));
  assert.deepEqual([shown, feed.waiting], [[], 7]);
  feed.go();
  step();
  assert.deepEqual(shown, [3, 4]);
});

test("the queue is bounded: the oldest bytes are skipped, and their number is reported", () => {
  const { feed, shown, left, step } = screen();
  feed.push(new Uint8Array(10));
  for (let part = 0; part < 9; part += 1) feed.push(new Uint8Array(1_000_000));
  assert.equal(left.length, 1);
  const lost = left[0] ?? 0;
  for (let turn = 0; turn < 1000; turn += 1) step();
  assert.equal(shown.reduce((sum, one) => sum + one, 0) + lost, 9_000_010);
  assert.ok(lost > 6_000_000, "it is cut well below the limit, not slice by slice");
});
