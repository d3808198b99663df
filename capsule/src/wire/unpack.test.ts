import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode } from "@msgpack/msgpack";
import { unpack } from "./unpack";

const bufferOf = (bytes: Uint8Array): ArrayBuffer => bytes.slice().buffer as ArrayBuffer;

/** The same random numbers in each run. */
function dice(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1_103_515_245 + 12_345) & 0x7fffffff) / 0x7fffffff;
}

function something(roll: () => number, depth: number): unknown {
  const pick = Math.floor(roll() * (depth > 4 ? 7 : 9));
  const whole = (most: number): number => Math.floor(roll() * most);
  switch (pick) {
    case 0:
      return null;
    case 1:
      return roll() < 0.5;
    case 2:
      return whole(2 ** whole(53)) * (roll() < 0.5 ? -1 : 1) || 0;
    case 3:
      return (roll() - 0.5) * 10 ** whole(20);
    case 4:
      return "aé☃😀\0"
        .charAt(whole(5))
        .repeat(whole(300))
        .replace(/[\ud800-\udfff]/g, "");
    case 5:
      return "x".repeat(whole(70_000));
    case 6:
      return Uint8Array.from({ length: whole(300) }, () => whole(256));
    case 7:
      return Array.from({ length: whole(20) }, () => something(roll, depth + 1));
    default:
      return Object.fromEntries(Array.from({ length: whole(20) }, () => [`name-${whole(400)}`, something(roll, depth + 1)]));
  }
}

test("messages of the library are decoded as the library decodes them", () => {
  const roll = dice(7);
  for (let turn = 0; turn < 300; turn += 1) {
    const bytes = encode(something(roll, 0));
    assert.deepEqual(unpack(bufferOf(bytes)), decode(bytes));
  }
});

test("all widths of numbers, texts and lists are read", () => {
  for (const value of [
    0,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    2 ** 32,
    -1,
    -32,
    -33,
    -128,
    -129,
    -32_769,
    -(2 ** 40),
    1.5,
    "",
    "x".repeat(32),
    "x".repeat(256),
    Array.from({ length: 70_000 }, () => 1),
  ])
    assert.deepEqual(unpack(bufferOf(encode(value))), value);
  assert.equal(unpack(bufferOf(encode(1.5, { forceFloat32: true }))), 1.5);
});

test("truncated, doubled, hostile or foreign messages are refused", () => {
  const whole = encode({ topic: "fleet", data: [1, "two", { three: new Uint8Array(40) }] });
  for (let end = 0; end < whole.length; end += 1) assert.throws(() => unpack(bufferOf(whole.subarray(0, end))), Error, `cut at ${end}`);
  const bad = [
    [1, 1],
    [0xc1],
    [0xd4, 1, 1],
    [0xdd, 255, 255, 255, 255],
    [0xdf, 255, 255, 255, 255],
    [0x81, 1, 1],
    [0xa2, 0xff, 0xfe],
    [...Array.from({ length: 40 }, () => 0x91), 0],
    [0x81, 0xa9, ...Buffer.from("__proto__"), 0x80],
  ];
  for (const bytes of bad) assert.throws(() => unpack(bufferOf(Uint8Array.from(bytes))), Error, String(bytes.slice(0, 4)));
});

test("keys are read also in another order than before", () => {
  const [a, b, c] = [
    { at: 1, value: 2 },
    { value: 2, at: 1 },
    { value: { at: { value: 3 } }, att: 1, valu: 4 },
  ];
  for (const message of [
    a,
    b,
    a,
    c,
    b,
    { one: a, two: b },
    { two: a, one: c, three: b },
    { one: a },
    { on: a, ones: b },
    [a, b, c, {}],
    {},
  ])
    assert.deepEqual(unpack(bufferOf(encode(message))), message);
});

test("two keys with the same hash are two keys", () => {
  for (const key of ["Aa", "BB", "Aa"]) assert.deepEqual(unpack(bufferOf(encode({ [key]: 1 }))), { [key]: 1 });
});
