/** The maintenance windows, for the mark of the nodes that they cover. */

import { signal } from "@preact/signals";
import { call } from "../wire/http";
import type { MaintenanceView, NodeView } from "../wire/schema.gen";
import { quietOf, type Quiet } from "../core/alerts/quiet";
import { now } from "./clock";
import { askWhileLive } from "./live/link";
import { onSessionEnd } from "./session";

/** Windows change rarely, and a window's own times need no request. */
const EVERY_MS = 60_000;

const windows = signal<readonly MaintenanceView[]>([]);

export async function reloadQuiet(): Promise<void> {
  if (document.hidden) return;
  try {
    windows.value = (await call("GET", "maintenance")).maintenance;
  } catch {
    // The last windows stay. The socket reports a hub that does not answer.
  }
}

/** The maintenance that is open for a node; null = none, or not known. Reads the clock only while there are windows. */
export const nodeQuiet = (node: NodeView): Quiet | null => (windows.value.length ? quietOf(windows.value, node, now.value) : null);

askWhileLive(reloadQuiet, EVERY_MS);
onSessionEnd(() => {
  windows.value = [];
});
