/** Repeats actions for which the hub requires the password (and a code of the second factor) again. */

import { signal } from "@preact/signals";
import { ApiError, call, OVER } from "../wire/http";
import type { AssertionBody } from "../wire/schema.gen";
import { onSessionEnd } from "./session";

export interface StepUp {
  /** The sentence that asks for the password and names the action. */
  question: string;
  /** The hub accepts the password for this many minutes; 0 = the question does not say it. */
  minutes: number;
  /** Args: `passkey`: in place of a code. */
  confirm(password: string, code: string, passkey?: AssertionBody): Promise<void>;
  /** Ends the action with an error; without `why`, with the hub's refusal. */
  cancel(why?: Error): void;
}

export const stepUp = signal<StepUp | null>(null);
/** How long the hub accepts the password. */
const MINUTES = 15;
/** The same for users, second factors, secrets, keys, policies of nodes and removals. */
export const STRICT_MINUTES = 5;
/** The open password question. Parallel actions wait for the same answer. */
let asking: Promise<void> | null = null;

onSessionEnd(() => stepUp.peek()?.cancel(OVER));

/**
 * Runs `act`. If the hub requires the password and `wanted` returns true, asks for the password and runs `act` again.
 *
 * `question` names the action. `minutes`: how long the hub accepts the password for such actions. Raises: the hub's refusal if the user cancels.
 */
export async function withStepUp<T>(act: () => Promise<T>, question: string, wanted = (): boolean => true, minutes = MINUTES): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== "auth.step_up_required" || !wanted()) throw error;
    asking ??= new Promise<void>((resolve, reject) => {
      stepUp.value = {
        question,
        minutes,
        confirm: async (password, code, passkey) => {
          await call("POST", "auth/step-up", { body: { password, totp: code || undefined, passkey } });
          stepUp.value = null;
          resolve();
        },
        cancel: (why = error) => {
          stepUp.value = null;
          reject(why);
        },
      };
    }).finally(() => (asking = null));
    await asking;
    return act();
  }
}

/** As `withStepUp`, for users, second factors, secrets, keys and removals. */
export const withStrictStepUp = <T>(act: () => Promise<T>, question: string, wanted?: () => boolean): Promise<T> =>
  withStepUp(act, question, wanted, STRICT_MINUTES);
