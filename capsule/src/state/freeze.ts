/** Lets an admin order a job in spite of a freeze, once and with a reason. */

import { signal } from "@preact/signals";
import { t } from "../core/text";
import { ApiError, OVER } from "../wire/http";
import { isAdmin, onSessionEnd } from "./session";
import { withStepUp } from "./step-up";

interface FreezeQuestion {
  /** What the hub says about the freeze. */
  words: string;
  confirm(reason: string): void;
  /** Ends the action with an error; without `why`, with the hub's refusal. */
  cancel(why?: Error): void;
}

export const freezeQuestion = signal<FreezeQuestion | null>(null);
onSessionEnd(() => freezeQuestion.peek()?.cancel(OVER));

/** Sends a job. If a freeze refuses it, an admin is asked for a reason, and it is sent again with it. */
export async function inSpiteOfFreeze<T>(send: (reason?: string) => Promise<T>): Promise<T> {
  try {
    return await send();
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== "node.frozen" || !isAdmin.peek() || freezeQuestion.peek()) throw error;
    const reason = await new Promise<string>((resolve, reject) => {
      const end = (then: () => void): void => {
        freezeQuestion.value = null;
        then();
      };
      freezeQuestion.value = {
        words: error.detail,
        confirm: (given) => end(() => resolve(given)),
        cancel: (why = error) => end(() => reject(why)),
      };
    });
    return withStepUp(() => send(reason), t`Enter your password to change a frozen server.`);
  }
}
