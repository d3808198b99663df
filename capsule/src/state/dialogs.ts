/** Which dialog is open; one at a time. */

import { signal } from "@preact/signals";
import type { JobBody } from "../wire/schema.gen";
import { onSessionEnd } from "./session";

export type OpenDialog = {
  /** Pressed before it stood. */
  early?: string[];
} & (
  | { kind: "add"; deployment?: string; method?: "command" }
  | { kind: "remove"; node: string; deployment?: string }
  | { kind: "redeploy"; node: string }
  | { kind: "order"; node: string; action: JobBody["action"] }
  | { kind: "many"; nodes: readonly string[]; action?: JobBody["action"]; packages?: readonly string[] }
  | { kind: "tags" | "forget"; nodes: readonly string[] }
  | { kind: "views" | "keys" | "palette" }
);

export const openDialog = signal<OpenDialog | null>(null);

export const showDialog = (wanted: OpenDialog): void => {
  openDialog.value = wanted;
};
export const closeDialog = (): void => {
  openDialog.value = null;
};
// Of what it was about nothing is there any more; and while one is open, keys are its own.
onSessionEnd(closeDialog);
