import assert from "node:assert/strict";
import { test } from "node:test";
import { bootTimes, marksNear, chartMarks, marksSummary } from "./chart-marks";

const job = { id: "a", action: "upgrade", state: "failed", created_at: 90, started_at: 100, ended_at: 172 };
const event = { type: "node_offline", severity: "warning" as const, at: 120, message: "web-1 is offline" };

test("marks are sorted by time: jobs at their start, events and restarts when they happened", () => {
  const marks = chartMarks([job], [event, { ...event, type: "job_succeeded" }], 110, { from: 50, to: 200 });
  assert.deepEqual(
    marks.map(({ at, kind, level }) => [at, kind, level]),
    [
      [100, "job", "crit"],
      [110, "restart", ""],
      [120, "event", "warn"],
    ],
  );
  assert.equal(marks[0]?.text.replaceAll("\u00a0", " "), "Upgrade packages: failed, took 1 min 12 s");
});

test("marks outside the window are left out, and so is an unknown boot", () => {
  assert.deepEqual(chartMarks([job], [event], 0, { from: 130, to: 200 }), []);
});

test("each restart is found once where the uptime fell, also after an outage", () => {
  const times = [0, 600, 1200, 1800, 2400, 3000, 3600];
  //             up   up    restart at 1300   up    away  restart at 2900, up
  const min = [5000, 5600, 30, 500, null, 100, 700];
  const max = [5540, 6140, 6200, 1040, null, 640, 1240];
  assert.deepEqual(bootTimes({ step: 600, times, min, max }), [1200, 2900]);
  assert.deepEqual(
    bootTimes({ step: 600, times, min: [0, 600, 1200, 1800, 2400, 3000, 3600], max: [540, 1140, 1740, 2340, 2940, 3540, 4140] }),
    [],
  );
});

test("earlier restarts are shown in addition to the newest, which the server reports", () => {
  const marks = chartMarks([], [], 5000, { from: 0, to: 9000 }, [1200, 4950], 60);
  assert.deepEqual(
    marks.map(({ at, text }) => [at, text]),
    [
      [1200, "restarted"],
      [5000, "restarted"],
    ],
  );
});

test("marks near a moment", () => {
  const marks = chartMarks([job], [event], 0, { from: 0, to: 200 });
  assert.deepEqual(
    marksNear(marks, 118, 3).map((mark) => mark.at),
    [120],
  );
});

test("marks are counted by kind, with the shape that a chart draws", () => {
  const mark = (kind: "job" | "event" | "restart") => ({ at: 0, kind, level: "" as const, text: "" });
  assert.equal(marksSummary([mark("event"), mark("job"), mark("event")]), "▲ 1\u00a0job, ▼ 2\u00a0events");
  assert.equal(marksSummary([mark("restart")]), "┆ 1\u00a0restart");
  assert.equal(marksSummary([]), "");
});
