/** Everything that came in one frame of the screen is applied in one go. */

import { batch } from "@preact/signals";
import { tickWithFrame } from "./clock";

const HIDDEN_MS = 250;
let waiting: (() => void)[] = [];
let planned = false;

function flush(): void {
  planned = false;
  const work = waiting;
  waiting = [];
  batch(() => {
    for (const apply of work) apply();
    tickWithFrame();
  });
}

export function onFrame(apply: () => void): void {
  waiting.push(apply);
  if (planned) return;
  planned = true;
  // A hidden page gets no frames; it still has to empty the queue.
  if (document.hidden) setTimeout(flush, HIDDEN_MS);
  else requestAnimationFrame(flush);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden && planned) flush();
});
