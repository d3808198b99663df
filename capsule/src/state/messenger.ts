/** Whether notifications are sent. Users who see only some nodes do not get this information. */

import { signal } from "@preact/signals";
import { ApiError, call } from "../wire/http";
import type { NotificationsView } from "../wire/schema.gen";
import { onEvent } from "./events";
import { askWhileLive } from "./live/link";
import { onSessionEnd, user } from "./session";
import { hubNow } from "./clock";

const FIRST_MS = 1500;
const EVERY_MS = 60_000;
/** A message that waits longer than this is stuck. */
const LATE_S = 120;

/** The state of the channels if some are broken or late, or if nobody would be told; null = none known. */
export const messengerTrouble = signal<NotificationsView | null>(null);

const late = ({ oldest_due_at: at }: NotificationsView): boolean => at !== null && hubNow() - at > LATE_S;

export async function askMessenger(): Promise<void> {
  if (document.hidden || !user.peek() || user.peek()?.limited) return;
  try {
    const found = await call("GET", "notifications/summary");
    messengerTrouble.value = found.channels_broken.length || found.nobody_told || late(found) ? found : null;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // the socket reports a hub that does not answer
  }
}

askWhileLive(askMessenger, EVERY_MS, FIRST_MS);
let soon: ReturnType<typeof setTimeout> | undefined;
onEvent(({ type }) => {
  if (type.startsWith("channel_")) void askMessenger();
  if (type !== "alert_firing" || messengerTrouble.peek() || soon) return; // a storm of alerts is one question
  soon = setTimeout(() => {
    soon = undefined;
    void askMessenger();
  }, FIRST_MS);
});
onSessionEnd(() => {
  messengerTrouble.value = null;
});
