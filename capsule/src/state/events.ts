/** The newest events, live. */

import { signal } from "@preact/signals";
import { prependEvent } from "../core/events/event-list";
import type { EventView } from "../wire/schema.gen";
import { followWhileSignedIn } from "./live/link";

export const events = signal<readonly EventView[]>([]);
export const eventsLoaded = signal(false);
const listeners = new Set<(event: EventView) => void>();

/** Calls a listener with each new event. Returns the unsubscriber. */
export function onEvent(listener: (event: EventView) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

followWhileSignedIn(
  "events",
  {
    snapshot: (data) => {
      events.value = (data as { events: EventView[] }).events;
      eventsLoaded.value = true;
    },
    change: (data) => {
      const event = data as EventView;
      events.value = prependEvent(events.value, event);
      for (const listener of listeners) listener(event);
    },
    refused: () => {
      eventsLoaded.value = true;
    },
  },
  () => {
    events.value = [];
    eventsLoaded.value = false;
  },
);
