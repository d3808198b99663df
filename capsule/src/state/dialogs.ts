/** The open dialog, at most one. */

import { signal } from "@preact/signals";
import type { JobBody, RolloutBody } from "../wire/schema.gen";
import { onSessionEnd } from "./session";

export type OpenDialog = {
  /** Keys that were pressed before the dialog was drawn. */
  early?: string[];
} & (
  | { kind: "add"; deployment?: string; method?: "command" }
  | { kind: "remove"; node: string; deployment?: string }
  | { kind: "redeploy"; node: string }
  | { kind: "job"; node: string; action: JobBody["action"]; packages?: readonly string[] }
  | { kind: "bulk-job"; nodes: readonly string[]; action?: JobBody["action"]; packages?: readonly string[] }
  | { kind: "rollout"; nodes: readonly string[]; action: NonNullable<RolloutBody["action"]> }
  | { kind: "redeploy-many"; nodes: readonly string[]; widening?: boolean }
  | { kind: "tags" | "forget" | "maintenance"; nodes: readonly string[] }
  | { kind: "views" | "columns" | "shortcuts" | "palette" }
);

export const openDialog = signal<OpenDialog | null>(null);

export const showDialog = (wanted: OpenDialog): void => {
  openDialog.value = wanted;
};
export const closeDialog = (): void => {
  openDialog.value = null;
};
// An open dialog without its data would also block the shortcuts of the page.
onSessionEnd(closeDialog);
