/** The hub's time, so that ages are right on a machine whose clock is not. */

import { signal } from "@preact/signals";

let offsetS = 0;

export const hubNow = (): number => Date.now() / 1000 + offsetS;

/** Ticks once a second: what shows an age reads this. */
export const now = signal(hubNow());

export function setHubTime(at: number): void {
  offsetS = at - Date.now() / 1000;
  now.value = hubNow();
}

setInterval(() => {
  now.value = hubNow();
}, 1000);
