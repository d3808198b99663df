/** The signed-in user, and sign-in and sign-out. The token is in an HttpOnly cookie; only the CSRF token is stored here. */

import { computed, signal } from "@preact/signals";
import { backoff } from "../core/live/backoff";
import { hostCookie, readCookie, writeCookie } from "./cookies";
import { pollUntilSettled } from "./settled-question";
import { t } from "../core/text";
import { ApiError, call, hubAhead, OVER, setHooks } from "../wire/http";
import type { AssertionBody, LoginView, MeView, UserView } from "../wire/schema.gen";
import { adopt, chosen, outside } from "./organisation";
import { go } from "./router";

export type Phase = "loading" | "unreachable" | "leaving" | "login" | "change" | "enrol" | "outside" | "ready";

/** The session is renewed this long before it expires, but not sooner than `SOONEST_S` from now. */
const EARLY_S = 60;
const SOONEST_S = 5;
/** The page may stay blank this long while it loads or signs out. */
const SILENT_MS = 2000;
/** The cookie that exists from a sign-out until the hub has confirmed it. A page that is reloaded meanwhile continues the sign-out. */
const LEAVING = hostCookie("leaving");

export const phase = signal<Phase>("loading");
export const user = signal<UserView | null>(null);
export const mayAct = computed(() => user.value !== null && user.value.role !== "viewer");
/** Rights may depend on tags, so a limited user cannot change tags. */
export const mayTag = computed(() => mayAct.value && !user.value?.limited);
export const isAdmin = computed(() => user.value?.role === "admin");
/** Why the sign-in form is shown again; empty on a first visit. */
export const notice = signal("");

let csrf = "";
/** The provider through which this session was opened; empty = a password. */
let provider = "";
/** Stored only between sign-in and the forced password change, so that the user types the password once. */
let typedPassword = "";
/** A forced enrolment lasts until the recovery codes are stored. */
let enrolling = false;
let renewing: Promise<boolean | ApiError> | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;
/** Session requests are numbered in order: the number of the last request, and of the request whose answer is shown. */
let lastRequest = 0;
let shownRequest = 0;
/** Grows when a user signs in or out, or sets a password. A renewal that started with a smaller number belongs to an ended session. */
let turn = 0;
let ended = 0;
const endings = new Set<() => void>();

/** Registers a listener for the end of the session, which drops the data of the session. */
export function onSessionEnd(listener: () => void): void {
  endings.add(listener);
}

const leaving = (): boolean => readCookie(LEAVING) === "1";
const markLeaving = (on: boolean): void => writeCookie(LEAVING, `${+on}`, on ? null : 0);

/**
 * Shows the session of an answer, unless something newer is shown (a sign-in, a sign-out, a later answer). While the user signs out, only the
 * CSRF token is stored. Without `request`, the answer is the newest.
 */
function enter(answer: LoginView | MeView, request = ++lastRequest): void {
  const { user: who, csrf_token, expires_at } = answer;
  if (request < shownRequest) return;
  // Another user has signed in in another tab and must not see the data of this tab.
  if (user.value && user.value.username !== who.username) return location.reload();
  shownRequest = request;
  csrf = csrf_token;
  if ("provider" in answer) provider = answer.provider;
  if (leaving()) return;
  user.value = who;
  notice.value = "";
  enrolling ||= who.must_enrol_totp && !who.must_change_password;
  // Somebody who belongs to several organisations is shown none of them before one is chosen.
  if ("several_organisations" in answer && answer.several_organisations && !chosen.peek()) return;
  phase.value = who.must_change_password ? "change" : enrolling ? "enrol" : outside.peek() ? "outside" : "ready";
  clearTimeout(timer);
  const wait = Math.max(SOONEST_S, expires_at - Date.now() / 1000 - hubAhead() - EARLY_S);
  timer = setTimeout(() => void renew(), Math.min(wait, 86_400) * 1000);
}

/** Asks the hub who is signed in, and shows that session. Raises: ApiError. */
async function fetchUser(): Promise<void> {
  const request = ++lastRequest;
  let me = await call("GET", "auth/me", { always: true });
  if (adopt(me)) adopt((me = await call("GET", "auth/me", { always: true })));
  enter(me, request);
}

/** Drops the data of the session and shows `to`. `why`: the notice on the sign-in form; empty = the user signed out. */
function leave(why: string, to: Phase = "login"): void {
  if (to === "login") markLeaving(false);
  clearTimeout(again);
  shownRequest = ++lastRequest;
  turn += 1;
  ended += 1;
  clearTimeout(timer);
  csrf = "";
  provider = "";
  typedPassword = "";
  enrolling = false;
  chosen.value = "";
  const was = user.value;
  user.value = null;
  phase.value = to;
  notice.value = was ? why : "";
  for (const end of endings) end();
  // After a sign-out the next user must not see the address. After an expired session the user returns to the same page.
  if (!why) go("/", { replace: true });
}

async function requestRenewal(): Promise<boolean | ApiError> {
  const mine = turn;
  const request = ++lastRequest;
  try {
    const answer = await call("POST", "auth/refresh", { renews: false });
    if (mine === turn) enter(answer, request);
    return user.peek() !== null;
  } catch (error) {
    if (mine !== turn) return user.peek() !== null;
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401 || error.status === 403) {
      leave(t`Your session ended. Sign in again to continue.`);
      return false;
    }
    clearTimeout(timer);
    // Without a user, `resume` or `logOut` repeats its request.
    if (user.peek()) timer = setTimeout(() => void renew(), SOONEST_S * 1000);
    return error;
  }
}

/** Renews the session, with one request at a time. Returns true if a user is signed in, false if the session is over. After any other failure the session stays, and the error is returned. */
export function renew(): Promise<boolean | ApiError> {
  renewing ??= requestRenewal().finally(() => {
    renewing = null;
  });
  return renewing;
}

/** Reloads the account of the signed-in user and its rights, which may have changed. */
export const reloadUser = pollUntilSettled(async () => {
  try {
    if (user.peek()) await fetchUser();
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return false;
  }
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) void reloadUser();
});

/** Call this when the user has stored the recovery codes: the page is shown. */
export function enrolled(): Promise<void> {
  enrolling = false;
  return reloadUser();
}

setHooks({ organisation: () => chosen.peek(), csrf: () => csrf, renew, refused: reloadUser, ended: () => ended });
addEventListener("unhandledrejection", (event) => {
  if (event.reason === OVER) event.preventDefault();
});

/** When the request of `resume` or `logOut` is repeated, in Unix milliseconds; 0 = no repetition is planned. */
export const resumesAt = signal(0);
let attempt = 0;
let again: ReturnType<typeof setTimeout> | undefined;

function repeatLater(act: () => Promise<void>): void {
  const wait = backoff(attempt, Math.random()) * 1000;
  attempt += 1;
  resumesAt.value = Date.now() + wait;
  again = setTimeout(() => void act(), wait);
}

/** Call this at the start: requests the existing session until the hub answers, or completes an unconfirmed sign-out. */
export async function resume(): Promise<void> {
  if (leaving()) return logOut();
  clearTimeout(again);
  resumesAt.value = 0;
  const silent = setTimeout(() => {
    phase.value = "unreachable";
  }, SILENT_MS);
  try {
    await fetchUser();
  } catch (error) {
    if (error instanceof ApiError && error.status !== 0 && error.status < 500) {
      phase.value = "login";
      return;
    }
    phase.value = "unreachable";
    repeatLater(resume);
  } finally {
    clearTimeout(silent);
  }
}

/** Shows the session in the answer to a sign-in or a new password. Then loads the account again, because it may have changed before the answer arrived. */
export function enterAnew(answer: LoginView): void {
  turn += 1;
  enter(answer);
  void reloadUser();
}

/** Asks the hub whether a new socket may be opened: false if the session is over, or while the user must change the password or enrol. Without an answer the last known state counts. */
export const mayOpenSocket = (): Promise<boolean> => {
  const ready = (): boolean => phase.value === "ready";
  return fetchUser().then(ready, ready);
};

export async function logIn(
  username: string,
  password: string,
  { setupCode, code, passkey }: { setupCode?: string; code?: string; passkey?: AssertionBody },
): Promise<void> {
  const answer = await call("POST", "auth/login", {
    body: { username, password, setup_code: setupCode || undefined, totp: code || undefined, passkey },
    renews: false,
  });
  typedPassword = answer.user.must_change_password ? password : "";
  markLeaving(false);
  enterAnew(answer);
}

export const knowsCurrentPassword = (): boolean => typedPassword !== "";

export async function changePassword(current: string, next: string): Promise<void> {
  const answer = await call("POST", "auth/password", { body: { current: current || typedPassword, new: next } });
  typedPassword = "";
  enterAnew(answer);
}

/** Signs out, and retries until the hub confirms it. Without an answer within `SILENT_MS` the page hides the session, which a reload does not show again. */
export async function logOut(): Promise<void> {
  clearTimeout(again);
  resumesAt.value = 0;
  markLeaving(true);
  const clear = (): void => {
    if (phase.peek() !== "leaving") leave("", "leaving");
  };
  const silent = setTimeout(clear, SILENT_MS);
  try {
    if (!csrf) await fetchUser();
    // A session that a provider opened ends there too.
    const there = provider ? await call("POST", "auth/oidc/logout", { always: true }) : await call("POST", "auth/logout", { always: true });
    leave("");
    if (there?.location) location.assign(there.location);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (!leaving()) {
      notice.value = ""; // the session was over already
      return;
    }
    clear();
    csrf = "";
    repeatLater(stillLeaving);
  } finally {
    clearTimeout(silent);
  }
}

/** Continues the sign-out, unless another tab has completed it: a user may have signed in there, and that session must not end. */
async function stillLeaving(): Promise<void> {
  if (leaving()) await logOut();
  else leave("");
}
