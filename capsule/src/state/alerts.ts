/** The firing alerts, live on every page: the sidebar counts them. `incidents.ts` has what only the alerts' page shows. */

import { computed, effect, signal } from "@preact/signals";
import type { AlertsView, AlertView } from "../wire/schema.gen";
import { subscribe } from "./live/link";
import { onSessionEnd, phase } from "./session";

/** How many ended alerts are kept, which the page shows beside those of their incident. */
const MOST_ENDED = 200;

/** The newest view of each alert: those that fire, and some that ended meanwhile. */
export const alerts = signal<ReadonlyMap<string, AlertView>>(new Map());
/** More fire than the hub sends. */
const more = signal(false);
/** Not what another alert explains, or what is only shown. */
const firing = computed(() => [...alerts.value.values()].filter(({ state, notice, flags }) => state === "firing" && !notice && !flags.suppressed_by).length);
/** For the sidebar; empty = nothing fires that anybody is to act on. */
export const firingCount = computed(() => (firing.value ? `${firing.value}${more.value ? "+" : ""}` : ""));

/** Takes newer views of alerts. */
export function noteAlerts(views: readonly AlertView[]): void {
  const all = new Map(alerts.peek());
  for (const view of views) {
    all.delete(view.id);
    all.set(view.id, view);
  }
  const ended = [...all.values()].filter(({ state }) => state === "resolved");
  for (const { id } of ended.slice(0, -MOST_ENDED)) all.delete(id);
  alerts.value = all;
}

let end: (() => void) | null = null;
effect(() => {
  if (phase.value !== "ready" || end) return;
  end = subscribe(
    "alerts",
    {
      snapshot: (data) => {
        const { alerts: views, next } = data as AlertsView;
        alerts.value = new Map(views.map((one) => [one.id, one]));
        more.value = next !== null;
      },
      change: (data) => noteAlerts([data as AlertView]),
    },
    { whileHidden: true },
  );
});
onSessionEnd(() => {
  end?.();
  end = null;
  alerts.value = new Map();
  more.value = false;
});
