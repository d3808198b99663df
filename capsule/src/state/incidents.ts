/** The open incidents, live while the alerts' page is shown. */

import { signal } from "@preact/signals";
import type { IncidentsView, IncidentView } from "../wire/schema.gen";
import type { ApiError } from "../wire/http";
import { noteAlerts } from "./alerts";
import { subscribeWithRetry } from "./live/subscribe-with-retry";
import { onSessionEnd } from "./session";

export interface IncidentsState {
  /** Null = not received yet. */
  incidents: readonly IncidentView[] | null;
  /** Whether more incidents are open than the hub sends. */
  more: boolean;
  failure: ApiError | null;
}

const NONE: IncidentsState = { incidents: null, more: false, failure: null };
export const incidents = signal<IncidentsState>(NONE);
/** Grows when an incident ends. */
export const endedIncidents = signal(0);

/** Follows the open incidents until the returned function is called. */
export function followIncidents(): () => void {
  return subscribeWithRetry("incidents", {
    snapshot: (data) => {
      const { incidents: views, next } = data as IncidentsView;
      for (const { alerts } of views) noteAlerts(alerts);
      incidents.value = { incidents: views, more: next !== null, failure: null };
    },
    change: (data) => {
      const view = data as IncidentView;
      noteAlerts(view.alerts);
      const others = (incidents.peek().incidents ?? []).filter(({ id }) => id !== view.id);
      incidents.value = { ...incidents.peek(), incidents: view.state === "open" ? [view, ...others] : others };
      if (view.state === "resolved") endedIncidents.value += 1;
    },
    refused: (failure) => {
      incidents.value = { ...incidents.peek(), failure };
    },
  });
}

onSessionEnd(() => {
  incidents.value = NONE;
});
