import assert from "node:assert/strict";
import { test } from "node:test";
import { csv } from "./csv";

test("cells with commas, quotes and line ends are quoted; unknown values are empty", () => {
  assert.equal(
    csv([
      ["time", 'a "b"', "c,d"],
      [1.5, null, "x\ny"],
    ]),
    'time,"a ""b""","c,d"\r\n1.5,,"x\ny"\r\n',
  );
});

test("a cell that a spreadsheet would run as a formula becomes text", () => {
  assert.equal(csv([["=cmd()", "+1", "-2", "@x", -2]]), "'=cmd(),'+1,'-2,'@x,-2\r\n");
});
