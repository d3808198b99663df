/** Freezes over every server that are in force. They are read only while something shows them. */

import { signal } from "@preact/signals";
import { ApiError, call } from "../wire/http";
import type { WindowsView, WindowView } from "../wire/schema.gen";
import { onSessionEnd } from "./session";

/** The answer is read again this often. */
const EVERY_MS = 60_000;

export const freezes = signal<readonly WindowView[]>([]);
onSessionEnd(() => (freezes.value = []));

export async function readFreezes(): Promise<void> {
  try {
    const { windows } = await call<WindowsView>("GET", "windows");
    // A freeze in the zone of each server is in force only somewhere.
    freezes.value = windows.filter(({ kind, open, select, zone }) => kind === "freeze" && open && select.all && zone !== "node");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // the last answer stays
  }
}

/** Keeps the answer fresh until the returned function is called. */
export function followFreezes(): () => void {
  void readFreezes();
  const timer = setInterval(() => void readFreezes(), EVERY_MS);
  return () => clearInterval(timer);
}
