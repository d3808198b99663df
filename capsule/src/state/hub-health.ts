/** Whether Ground Control can store data. */

import { effect, signal } from "@preact/signals";
import { fetchHealth } from "../wire/http";
import { live } from "./live/link";

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

effect(() => {
  if (!live.value) return;
  void ask();
  const timer = setInterval(() => void ask(), EVERY_MS);
  return () => clearInterval(timer);
});
