/** The hub's time, so that ages are right on a machine with a wrong clock. */

import { computed, signal } from "@preact/signals";

let offsetS = 0;

export const hubNow = (): number => Date.now() / 1000 + offsetS;

/** The hub's time in Unix seconds, which changes about once a second. Read it to show an age. */
export const now = signal(hubNow());

const TICK_S = 1;
/** While frames (live messages that are drawn together) drive the clock, the timer waits this much longer: a frame may be a little late. */
const PATIENCE_S = 0.25;
let driven = false;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Starts the timer for the next tick. Each frame that moves the clock restarts it: a timer that ran on would wake the page every second. */
function restartTimer(): void {
  clearTimeout(timer);
  timer = setTimeout(
    () => {
      driven = false;
      now.value = hubNow();
      restartTimer();
    },
    1000 * (TICK_S + (driven ? PATIENCE_S : 0)),
  );
}
restartTimer();

/** Updates `now` for a change that cannot wait for the next second. */
export const tick = (): void => {
  now.value = hubNow();
};

/**
 * Updates `now` in the same batch as the data of a frame, so that one redraw shows new samples and new ages.
 *
 * While frames arrive, they drive the clock instead of the timer, which would tick between the frames.
 */
export function tickWithFrame(): void {
  if (driven && hubNow() - now.peek() < TICK_S * 0.8) return;
  driven = true;
  now.value = hubNow();
  restartTimer();
}

export function setHubTime(at: number): void {
  offsetS = at - Date.now() / 1000;
  now.value = hubNow();
}

/** The start of the viewer's day in Unix seconds. A view that shows a date reads this to redraw at midnight, not each second. */
export const dayStart = computed(() => new Date(now.value * 1000).setHours(0, 0, 0, 0) / 1000);
