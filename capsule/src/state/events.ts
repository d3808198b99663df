/** The newest events, live. */

import { effect, signal } from "@preact/signals";
import { prependEvent } from "../core/events/event-list";
import type { EventView } from "../wire/schema.gen";
import { subscribe } from "./live/link";
import { onSessionEnd, phase } from "./session";

export const events = signal<readonly EventView[]>([]);
export const eventsLoaded = signal(false);
const listeners = new Set<(event: EventView) => void>();

/** Calls a listener with each new event. Returns the unsubscriber. */
export function onEvent(listener: (event: EventView) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

let end: (() => void) | null = null;
effect(() => {
  if (phase.value !== "ready" || end) return;
  end = subscribe(
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
    { whileHidden: true },
  );
});
onSessionEnd(() => {
  end?.();
  end = null;
  events.value = [];
  eventsLoaded.value = false;
});
