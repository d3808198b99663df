/** A session has a longest life, however much it is used. Who is there when it ends is told before, and goes on by signing in where they are. */

import { t } from "../core/text/i18n";
import { clock } from "../core/text/time";
import { ApiError, call, hubAhead } from "../wire/http";
import type { MeView } from "../wire/schema.gen";
import { logIn, onSessionEnd, renew, user } from "./session";
import { stepUp } from "./step-up";
import { dismiss, toast } from "./toasts";

/** Two minutes are left when it is said, also where it is looked but twice a minute. */
const WARN_S = 150;

/** When the session ends by what was told last, by the hub's clock; 0 = not known. */
let endsAt = 0;
let note = 0;

const isNear = (): boolean => endsAt - hubAhead() - Date.now() / 1000 < WARN_S;

function forget(): void {
  dismiss(note);
  endsAt = note = 0;
}

onSessionEnd(forget);

function signInAgain(): void {
  const who = user.peek();
  if (!who || stepUp.peek()) return;
  stepUp.value = {
    confirm: async (password, code) => {
      await logIn(who.username, password, code ? { code } : {});
      stepUp.value = null;
      forget();
    },
    cancel: () => {
      stepUp.value = null;
      note = 0; // it is said once more
    },
  };
}

/** Looks how much is left; wants to be called twice a minute. */
export async function checkExpiry(): Promise<void> {
  if (!isNear()) return;
  // Each renewal prolongs a session, until its longest life is used up: only that is worth a word.
  if (!note && (await renew()) !== true) return;
  try {
    endsAt = (await call<MeView>("GET", "auth/me")).expires_at;
  } catch (error) {
    if (error instanceof ApiError) return; // away, or over: both are told elsewhere
    throw error;
  }
  if (!isNear()) {
    dismiss(note); // signed in again in another tab
    note = 0;
  } else if (!note) {
    note = toast("wait", t`You will be signed out at ${clock(endsAt - hubAhead(), false)}`, t`A session ends after a set time, even while it is used. Sign in again to go on here; nothing that is open is lost.`, { label: t`Sign in again`, run: signInAgain });
  }
}
