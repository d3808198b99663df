import assert from "node:assert/strict";
import { test } from "node:test";
import {
  BIT_FORMAT,
  isNetworkSeries,
  PERCENT_FORMAT,
  axisMark,
  RATE_FORMAT,
  seriesLabel,
  SIZE_FORMAT,
  valueFormatOf,
} from "./value-format";

const plain = (texts: readonly string[]): string[] => texts.map((text) => text.replaceAll("\u00a0", " "));

test("several values have their unit once, on the last known value", () => {
  assert.deepEqual(plain(RATE_FORMAT.row([8_400_000, 21_000_000])), ["8.40", "21.0 MB/s"]);
  assert.deepEqual(plain(SIZE_FORMAT.row([78.4 * 2 ** 30, null])), ["78.4 GiB", "—"]);
  assert.deepEqual(plain(RATE_FORMAT.row([null, null])), ["—", "—"]);
  assert.deepEqual(plain(RATE_FORMAT.row([0, 0])), ["0", "0 B/s"]);
});

test("a value that would be rounded to zero gets a smaller unit", () => {
  assert.deepEqual(plain(RATE_FORMAT.row([21_000, 21_000_000_000])), ["21.0 kB/s", "21.0 GB/s"]);
  assert.deepEqual(plain(RATE_FORMAT.row([0, 21_000_000])), ["0.00", "21.0 MB/s"]);
});

test("axis marks are short, and network can be shown in bits", () => {
  assert.deepEqual([0, 0.5, 2, 10, 100, 1200].map(axisMark), ["0", "0.5", "2", "10", "100", "1200"]);
  assert.deepEqual(plain([100, 512, 1.5, 2].map((gib) => SIZE_FORMAT.axis(gib * 2 ** 30))), ["100 GiB", "512 GiB", "1.5 GiB", "2 GiB"]);
  assert.equal(PERCENT_FORMAT.axis(100), "100%");
  assert.deepEqual(plain([RATE_FORMAT.axis(2_000_000), BIT_FORMAT.axis(2_500_000), BIT_FORMAT.text(1_000_000)]), [
    "2 MB",
    "20 Mbit",
    "8.00 Mbit/s",
  ]);
  assert.deepEqual(
    [valueFormatOf("bytes/s"), valueFormatOf("bytes/s", true), valueFormatOf("bytes", true)],
    [RATE_FORMAT, BIT_FORMAT, SIZE_FORMAT],
  );
  assert.deepEqual(["network.sent{interface=eth0}", "disk.read{device=sda}"].map(isNetworkSeries), [true, false]);
});

test("a series has a readable heading", () => {
  assert.deepEqual(
    ["cpu.total", "disk.read{device=sda}", "temperature{sensor=coretemp Package id 0}", "tcp.retransmitted_segments", "psi.cpu_some"].map(
      seriesLabel,
    ),
    ["CPU total", "Disk read sda", "Temperature coretemp Package id 0", "TCP retransmitted segments", "Pressure cpu some"],
  );
  assert.equal(seriesLabel("no series at all!"), "No series at all!");
});
