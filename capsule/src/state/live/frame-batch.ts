/** Applies all changes of one screen frame in one batch. */

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
    for (const apply of work) {
      try {
        apply();
      } catch (error) {
        reportError(error); // a bug that one change hits must not lose the others
      }
    }
    tickWithFrame();
  });
}

function plan(): void {
  if (planned) return;
  planned = true;
  // A hidden page gets no frames, but its queue must be emptied too.
  if (document.hidden) setTimeout(flush, HIDDEN_MS);
  else requestAnimationFrame(flush);
}

/** Applies a change in the next frame. It may wait up to `patienceMs` after the last flush for other changes. The order is kept. */
export function onFrame(apply: () => void, patienceMs = 0): void {
  waiting.push(apply);
  const wait = flushedAt + patienceMs - performance.now();
  if (wait > 0) timer ??= setTimeout(plan, wait);
  else plan();
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden && waiting.length) flush();
});
