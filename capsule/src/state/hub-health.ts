/** Whether Ground Control can store data. */

import { signal } from "@preact/signals";
import { fetchHealth } from "../wire/http";
import { askWhileLive } from "./live/link";

const EVERY_MS = 10_000;

export const hubCanStore = signal(true);

async function ask(): Promise<void> {
  if (document.hidden) return;
  try {
    hubCanStore.value = (await fetchHealth()).database;
  } catch {
    // The socket reports a hub that does not answer.
  }
}

askWhileLive(ask, EVERY_MS);
