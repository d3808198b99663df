/** Actions that require the password again, and a code if there is a second factor: ask, then repeat the action. */

import { signal } from "@preact/signals";
import { ApiError, call, OVER } from "../wire/http";
import { onSessionEnd } from "./session";

export interface StepUp {
  confirm(password: string, code: string): Promise<void>;
  /** Without a reason: the hub's refusal. */
  cancel(why?: Error): void;
}

export const stepUp = signal<StepUp | null>(null);
/** The open question: parallel actions wait for the same answer. */
let asking: Promise<void> | null = null;

onSessionEnd(() => stepUp.peek()?.cancel(OVER));

/** Runs `act`. If the hub requires the password, asks for it while `wanted`, then runs `act` again. Cancelling throws the hub's refusal. */
export async function withStepUp<T>(act: () => Promise<T>, wanted = (): boolean => true): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== "auth.step_up_required" || !wanted()) throw error;
    asking ??= new Promise<void>((resolve, reject) => {
      stepUp.value = {
        confirm: async (password, code) => {
          await call<undefined>("POST", "auth/step-up", { body: { password, totp: code || undefined } });
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
