/** Who is signed in, and the way in and out. The token itself lives in an HttpOnly cookie; only the CSRF token is held here. */

import { computed, signal } from "@preact/signals";
import { backoff } from "../core/live/backoff";
import { askUntilSettled } from "./settled-question";
import { t } from "../core/text/i18n";
import { ApiError, call, hubAhead, OVER, setHooks } from "../wire/http";
import type { LoginView, MeView, UserView } from "../wire/schema.gen";
import { go } from "./router";

export type Phase = "loading" | "unreachable" | "leaving" | "login" | "change" | "enrol" | "ready";

const EARLY_S = 60;
const SOONEST_S = 5;
/** So long a blank page is no question, nor one that is being left. */
const SILENT_MS = 2000;
const SECURE = location.protocol === "https:";
/** That somebody signs out and the hub has not said yet that it is done: also for who loads the page anew meanwhile. It says nothing else. */
const LEAVING = SECURE ? "__Host-stardust-leaving" : "stardust-leaving";

export const phase = signal<Phase>("loading");
export const user = signal<UserView | null>(null);
export const mayAct = computed(() => user.value !== null && user.value.role !== "viewer");
/** Rights may hang on tags: who is limited to some nodes changes none. */
export const mayTag = computed(() => mayAct.value && !user.value?.limited);
export const isAdmin = computed(() => user.value?.role === "admin");
/** Why the log-in is shown again; empty on a first visit. */
export const notice = signal("");

let csrf = "";
/** Held between log-in and the forced change only, so that it need not be typed twice. */
let typedPassword = "";
/** A forced enrolment goes on until its recovery codes are kept. */
let enrolling = false;
let renewing: Promise<boolean | ApiError> | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;
/** Questions about who this is, numbered as they are put, and the one whose answer is shown. */
let asked = 0;
let taken = 0;
/** Grows as somebody comes or goes: a renewal that was asked for before then is of a session that is over. */
let turn = 0;
let ended = 0;
const endings = new Set<() => void>();

/** Called when a session ends, so that what was loaded with it goes too. */
export function onSessionEnd(listener: () => void): void {
  endings.add(listener);
}

const leaving = (): boolean => document.cookie.includes(`${LEAVING}=1`);
function mark(on: boolean): void {
  document.cookie = `${LEAVING}=${+on}; Path=/; SameSite=Strict${SECURE ? "; Secure" : ""}${on ? "" : "; Max-Age=0"}`;
}

/** The answer to a question that something newer has overtaken (a log-in, its end, a later answer) changes nothing. What an act has made of the session always counts. */
function enter({ user: who, csrf_token, expires_at }: LoginView | MeView, asking = ++asked): void {
  if (asking < taken) return;
  // Another tab has changed hands: nothing that this one holds is the next one's.
  if (user.value && user.value.username !== who.username) return location.reload();
  taken = asking;
  csrf = csrf_token;
  if (leaving()) return;
  user.value = who;
  notice.value = "";
  enrolling ||= who.must_enrol_totp && !who.must_change_password;
  phase.value = who.must_change_password ? "change" : enrolling ? "enrol" : "ready";
  clearTimeout(timer);
  const wait = Math.max(SOONEST_S, expires_at - Date.now() / 1000 - hubAhead() - EARLY_S);
  timer = setTimeout(() => void renew(), Math.min(wait, 86_400) * 1000);
}

/** Who this is, asked anew. */
async function askWho(): Promise<void> {
  const asking = ++asked;
  enter(await call<MeView>("GET", "auth/me", { always: true }), asking);
}

function leave(why: string, to: Phase = "login"): void {
  if (to === "login") mark(false);
  clearTimeout(again);
  taken = ++asked;
  turn += 1;
  ended += 1;
  clearTimeout(timer);
  csrf = "";
  typedPassword = "";
  enrolling = false;
  const was = user.value;
  user.value = null;
  phase.value = to;
  notice.value = was ? why : "";
  for (const end of endings) end();
  // Who signs out leaves no address for the next one here; who was signed out comes back to theirs.
  if (!why) go("/", { replace: true });
}

async function askRenewal(): Promise<boolean | ApiError> {
  const mine = turn;
  const asking = ++asked;
  try {
    const answer = await call<LoginView>("POST", "auth/refresh", { renews: false });
    if (mine === turn) enter(answer, asking);
    return user.peek() !== null;
  } catch (error) {
    if (mine !== turn) return user.peek() !== null;
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401 || error.status === 403) {
      leave(t`Your session ended. Sign in again to continue.`);
      return false;
    }
    clearTimeout(timer);
    // Where nobody is in yet, who asks for the session asks again.
    if (user.peek()) timer = setTimeout(() => void renew(), SOONEST_S * 1000);
    return error;
  }
}

/** One renewal at a time; false = the session is over. A hub that is away ends nothing: then why it could not be asked. */
export function renew(): Promise<boolean | ApiError> {
  renewing ??= askRenewal().finally(() => {
    renewing = null;
  });
  return renewing;
}

/** What this account is and may do, asked anew: something says that it may have changed. */
export const reloadUser = askUntilSettled(async () => {
  try {
    if (user.peek()) await askWho();
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return false;
  }
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) void reloadUser();
});

/** The recovery codes are kept: on to the page. */
export function enrolled(): Promise<void> {
  enrolling = false;
  return reloadUser();
}

setHooks({ csrf: () => csrf, renew, refused: reloadUser, ended: () => ended });
addEventListener("unhandledrejection", (event) => {
  if (event.reason === OVER) event.preventDefault();
});

/** When it is asked again whether there is a session (ms); 0 = right now. */
export const resumesAt = signal(0);
let attempt = 0;
let again: ReturnType<typeof setTimeout> | undefined;

function later(act: () => Promise<void>): void {
  const wait = backoff(attempt, Math.random()) * 1000;
  attempt += 1;
  resumesAt.value = Date.now() + wait;
  again = setTimeout(() => void act(), wait);
}

/** On start: is there a session already? Asked until there is an answer. One that somebody was leaving is left. */
export async function resume(): Promise<void> {
  if (leaving()) return logOut();
  clearTimeout(again);
  resumesAt.value = 0;
  const silent = setTimeout(() => {
    phase.value = "unreachable";
  }, SILENT_MS);
  try {
    await askWho();
  } catch (error) {
    if (error instanceof ApiError && error.status !== 0 && error.status < 500) {
      phase.value = "login";
      return;
    }
    phase.value = "unreachable";
    later(resume);
  } finally {
    clearTimeout(silent);
  }
}

/** What an act has made of the session. A question that was put after it may have been answered before: it is put once more. */
function enterAnew(answer: LoginView): void {
  turn += 1;
  enter(answer);
  void reloadUser();
}

/** Before a new live socket: false when the session is over, or something else comes first. A hub that is away is for the socket to find. */
export const stillSignedIn = (): Promise<boolean> => {
  const ready = (): boolean => phase.value === "ready";
  return askWho().then(ready, ready);
};

export async function logIn(username: string, password: string, { setupCode, code }: { setupCode?: string; code?: string }): Promise<void> {
  const answer = await call<LoginView>("POST", "auth/login", {
    body: { username, password, setup_code: setupCode || undefined, totp: code || undefined },
    renews: false,
  });
  typedPassword = answer.user.must_change_password ? password : "";
  mark(false);
  enterAnew(answer);
}

export const knowsCurrentPassword = (): boolean => typedPassword !== "";

export async function changePassword(current: string, next: string): Promise<void> {
  const answer = await call<LoginView>("POST", "auth/password", { body: { current: current || typedPassword, new: next } });
  typedPassword = "";
  enterAnew(answer);
}

/** Asked until the hub has said that the session is over. Before that nothing of it is shown any more, and nobody comes back into it. */
export async function logOut(): Promise<void> {
  clearTimeout(again);
  resumesAt.value = 0;
  mark(true);
  const clear = (): void => {
    if (phase.peek() !== "leaving") leave("", "leaving");
  };
  const silent = setTimeout(clear, SILENT_MS);
  try {
    if (!csrf) await askWho();
    await call<undefined>("POST", "auth/logout", { always: true });
    leave("");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (!leaving()) {
      notice.value = ""; // that it is over already was the answer
      return;
    }
    clear();
    csrf = "";
    later(stillLeaving);
  } finally {
    clearTimeout(silent);
  }
}

/** Another tab may have been answered meanwhile, or somebody has signed in there: that session is not the one to end. */
async function stillLeaving(): Promise<void> {
  if (leaving()) await logOut();
  else leave("");
}
