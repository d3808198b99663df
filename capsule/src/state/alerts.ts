/** The firing alerts, which are live on every page because the sidebar counts them. `incidents.ts` has the data of the alerts' page. */

import { computed, signal } from "@preact/signals";
import type { AlertsView, AlertView } from "../wire/schema.gen";
import { followWhileSignedIn } from "./live/link";

/** So many ended alerts are stored: the page shows them with the firing alerts of their incident. */
const MOST_ENDED = 200;

/** The newest view of each alert by id: firing alerts, and some that ended since. */
export const alerts = signal<ReadonlyMap<string, AlertView>>(new Map());
/** Whether more alerts fire than the hub sends. */
const more = signal(false);
/** The number of firing alerts, without notices and alerts that another alert explains. */
const firing = computed(
  () => [...alerts.value.values()].filter(({ state, notice, flags }) => state === "firing" && !notice && !flags.suppressed_by).length,
);
/** The count for the sidebar; empty = none. */
export const firingCount = computed(() => (firing.value ? `${firing.value}${more.value ? "+" : ""}` : ""));

/** Stores newer views of alerts. */
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

followWhileSignedIn(
  "alerts",
  {
    snapshot: (data) => {
      const { alerts: views, next } = data as AlertsView;
      alerts.value = new Map(views.map((one) => [one.id, one]));
      more.value = next !== null;
    },
    change: (data) => noteAlerts([data as AlertView]),
  },
  () => {
    alerts.value = new Map();
    more.value = false;
  },
);
