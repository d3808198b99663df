/** Freezes over every server that are in force. They are read only while something shows them. */

import { signal } from "@preact/signals";
import { ApiError, call } from "../wire/http";
import type { WindowsView, WindowView } from "../wire/schema.gen";
import { subscribeWithRetry } from "./live/subscribe-with-retry";
import { onSessionEnd } from "./session";

/** The answer is read again this often, since planned freezes begin and end by the clock. */
const EVERY_MS = 60_000;

export const freezes = signal<readonly WindowView[]>([]);
/** Grows whenever a window or freeze was added, changed or removed. */
export const windowsTurn = signal(0);
onSessionEnd(() => (freezes.value = []));

export async function readFreezes(): Promise<void> {
  try {
    show(await call("GET", "windows"));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // the last answer stays
  }
}

function show({ windows }: WindowsView): void {
  // A freeze in the zone of each server is in force only somewhere.
  freezes.value = windows.filter(({ kind, open, select, zone }) => kind === "freeze" && open && select.all && zone !== "node");
}

/** Keeps the answer fresh until the returned function is called. */
export function followFreezes(): () => void {
  const unsubscribe = subscribeWithRetry("windows", {
    snapshot: (data) => show(data as WindowsView),
    change: (data) => {
      show(data as WindowsView);
      windowsTurn.value += 1;
    },
    refused: () => void readFreezes(),
  });
  const timer = setInterval(() => void readFreezes(), EVERY_MS);
  return () => {
    unsubscribe();
    clearInterval(timer);
  };
}
