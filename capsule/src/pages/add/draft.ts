/** What was typed about a server and not sent, but for its secrets: until it is sent, or the session ends. */

import { onSessionEnd } from "../../state/session";
import { NO_ENTRIES, withoutSecrets, type Entries } from "./entries";

let kept = NO_ENTRIES;

export const draft = (): Entries => kept;
export function keepDraft(entries: Entries): void {
  kept = withoutSecrets(entries);
}
export function dropDraft(): void {
  kept = NO_ENTRIES;
}

onSessionEnd(dropDraft);
