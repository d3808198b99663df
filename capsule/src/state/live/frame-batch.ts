/** Everything that came in one frame of the screen is applied in one go. */

import { batch } from "@preact/signals";
import { tickWithFrame } from "../clock";

const HIDDEN_MS = 250;
let waiting: (() => void)[] = [];
let planned = false;
let flushedAt = -Infinity;
let timer: ReturnType<typeof setTimeout> | undefined;

function flush(): void {
  planned = false;
  clearTimeout(timer);
  timer = undefined;
  flushedAt = performance.now();
  const work = waiting;
  waiting = [];
  batch(() => {
    for (const apply of work) apply();
    tickWithFrame();
  });
}

function plan(): void {
  if (planned) return;
  planned = true;
  // A hidden page gets no frames; it still has to empty the queue.
  if (document.hidden) setTimeout(flush, HIDDEN_MS);
  else requestAnimationFrame(flush);
}

/** With the next frame; what can wait so long after the last one that changed anything goes with whatever comes first, in the order in which it came. */
export function onFrame(apply: () => void, patienceMs = 0): void {
  waiting.push(apply);
  const wait = flushedAt + patienceMs - performance.now();
  if (wait > 0) timer ??= setTimeout(plan, wait);
  else plan();
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden && waiting.length) flush();
});
