/** The hub's time, so that ages are right on a machine whose clock is not. */

import { computed, signal } from "@preact/signals";

let offsetS = 0;

export const hubNow = (): number => Date.now() / 1000 + offsetS;

/** Ticks about once a second: what shows an age reads this. */
export const now = signal(hubNow());

const TICK_S = 1;
/** So much later it ticks by itself where frames drove it: a frame that is a little late is waited for. */
const PATIENCE_S = 0.25;
let driven = false;
let own: ReturnType<typeof setTimeout> | undefined;

/** The next one by itself is put off by each frame: a timer that looks and finds nothing to do would wake the page once a second. */
function wind(): void {
  clearTimeout(own);
  own = setTimeout(
    () => {
      driven = false;
      now.value = hubNow();
      wind();
    },
    1000 * (TICK_S + (driven ? PATIENCE_S : 0)),
  );
}
wind();

/** For a moment that cannot wait for the next second. */
export const tick = (): void => {
  now.value = hubNow();
};

/**
 * With what has just come, in the same batch: a second is drawn once, not once for its samples and once for its ages. A clock that went by itself
 * is taken over at once, or it would go on between the frames.
 */
export function tickWithFrame(): void {
  if (driven && hubNow() - now.peek() < TICK_S * 0.8) return;
  driven = true;
  now.value = hubNow();
  wind();
}

export function setHubTime(at: number): void {
  offsetS = at - Date.now() / 1000;
  now.value = hubNow();
}

/** When the viewer's day began: a view that shows a date reads this, and redraws at midnight instead of each second. */
export const dayStart = computed(() => new Date(now.value * 1000).setHours(0, 0, 0, 0) / 1000);
