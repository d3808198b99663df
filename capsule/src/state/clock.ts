/** The hub's time, so that ages are right on a machine whose clock is not. */

import { signal } from "@preact/signals";

let offsetS = 0;

export const hubNow = (): number => Date.now() / 1000 + offsetS;

/** Ticks about once a second: what shows an age reads this. */
export const now = signal(hubNow());

const TICK_S = 1;
/** So much later it ticks by itself where frames drove it: a frame that is a little late is waited for. */
const PATIENCE_S = 0.25;
const LOOK_MS = 250;
let driven = false;

/** For a moment that cannot wait for the next second. */
export const tick = (): void => {
  now.value = hubNow();
};

/** With what has just come, in the same batch: a second is drawn once, not once for its samples and once for its ages. */
export function tickWithFrame(): void {
  if (hubNow() - now.peek() < TICK_S / 2) return;
  driven = true;
  now.value = hubNow();
}

export function setHubTime(at: number): void {
  offsetS = at - Date.now() / 1000;
  now.value = hubNow();
}

setInterval(() => {
  const late = hubNow() - now.peek();
  if (late >= 0 && late < TICK_S + (driven ? PATIENCE_S : 0)) return;
  driven = false;
  now.value = hubNow();
}, LOOK_MS);
