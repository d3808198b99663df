/** A session has a maximum age. This module warns the user before it ends, and lets the user sign in again on the same page. */

import { clock, t } from "../core/text";
import { ApiError, call, hubAhead } from "../wire/http";
import { logIn, onSessionEnd, renew, user } from "./session";
import { stepUp } from "./step-up";
import { dismiss, toast } from "./toasts";

/** The warning appears when at least two minutes are left, with a check every half minute. */
const WARN_S = 150;

/** When the session ends according to the last answer (hub time); 0 = unknown. */
let endsAt = 0;
/** The toast with the warning; 0 = none. */
let note = 0;

/** Whether the end is near, or unknown. */
const isNear = (): boolean => endsAt - hubAhead() - Date.now() / 1000 < WARN_S;

function forget(): void {
  dismiss(note);
  endsAt = note = 0;
}

onSessionEnd(forget);

function renewSignIn(): void {
  const who = user.peek();
  if (!who || stepUp.peek()) return;
  stepUp.value = {
    question: t`Enter your password to stay signed in.`,
    minutes: 0,
    confirm: async (password, code) => {
      await logIn(who.username, password, code ? { code } : {});
      stepUp.value = null;
      forget();
    },
    cancel: () => {
      stepUp.value = null;
      note = 0; // the warning is shown again
    },
  };
}

/** Checks the remaining time. Must be called twice a minute. */
export async function checkExpiry(): Promise<void> {
  if (!isNear()) return;
  // A renewal extends the session, but not beyond its maximum age: only that end needs a warning.
  if (!note && (await renew()) !== true) return;
  try {
    endsAt = (await call("GET", "auth/me")).expires_at;
  } catch (error) {
    if (error instanceof ApiError) return; // offline or ended: both are reported elsewhere
    throw error;
  }
  if (!isNear()) {
    dismiss(note); // the user signed in again in another tab
    note = 0;
  } else if (!note) {
    note = toast(
      "wait",
      t`You will be signed out at ${clock(endsAt - hubAhead(), false)}`,
      t`A session ends after a set time, even while it is used. Sign in again to go on here; nothing that is open is lost.`,
      { label: t`Sign in again`, run: renewSignIn },
    );
  }
}
