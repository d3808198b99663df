import assert from "node:assert/strict";
import { test } from "node:test";
import { decode } from "@msgpack/msgpack";
import { pack, type Packable } from "./pack";

test("packed values are read back by a full decoder", () => {
  const values: Packable[] = [
    null,
    "",
    "fleet",
    "x".repeat(31),
    "ü".repeat(40),
    "x".repeat(65_535),
    0,
    127,
    128,
    65_536,
    2 ** 40,
    Number.MAX_SAFE_INTEGER,
    -1,
    [],
    {},
    ["ping", {}],
    ["subscribe", { topic: `job:${"0".repeat(26)}`, after: 4_294_967_296 }],
    { a: 1, b: "c" },
  ];
  for (const value of values) assert.deepEqual(decode(pack(value)), value);
});

test("values that do not fit are refused, not cut", () => {
  for (const value of ["x".repeat(65_536), 0.5, Number.NaN, 2 ** 60, Array.from({ length: 16 }, () => 0)])
    assert.throws(() => pack(value), RangeError);
});
