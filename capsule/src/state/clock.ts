/** The hub's time, so that ages are right on a machine with a wrong clock. */

import { computed, signal } from "@preact/signals";

let offsetS = 0;

export const hubNow = (): number => Date.now() / 1000 + offsetS;

/** Ticks about once a second. Read it to show an age. */
export const now = signal(hubNow());

const TICK_S = 1;
/** The timer waits this much longer while frames drive the clock, because a frame may be a little late. */
const PATIENCE_S = 0.25;
let driven = false;
let own: ReturnType<typeof setTimeout> | undefined;

/** Each frame postpones the timer: a timer that only checks would wake the page every second. */
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

/** For a change that cannot wait for the next second. */
export const tick = (): void => {
  now.value = hubNow();
};

/**
 * Ticks with the data of a frame, in the same batch: one redraw shows new samples and new ages.
 *
 * It takes over immediately from a clock that runs by its timer, which would otherwise tick between the frames.
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
