/** REST: JSON both ways, the session's CSRF token on unsafe methods, RFC 9457 answers as one typed error. */

import { t } from "../core/text/i18n";
import type { ErrorCode, HealthView, Problem } from "./schema.gen";

export const ROOT = "/api/v1/";
const PATIENCE_MS = 15_000;

export type FailureCode = ErrorCode | "network" | "timeout" | "answer.unreadable";

/** The hub's refusal, or that it could not be reached (`status` 0). */
export class ApiError extends Error {
  /** Why, as a sentence: the hub says it as programs do, and never begins with a name. */
  readonly detail: string;

  constructor(
    readonly code: FailureCode,
    readonly status: number,
    said: string,
    readonly facts: Readonly<Record<string, unknown>> = {},
    /** Names this answer in the hub's log. */
    readonly instance = "",
    readonly retryAfterS: number | null = null,
  ) {
    super(said);
    this.detail = said.charAt(0).toUpperCase() + said.slice(1) + (/[^.?!]$/.test(said) ? "." : "");
  }
}

/** What an answer is that comes after the session of its question: nobody's. Who waits for it is gone with the session, and nothing is told. */
export const OVER = new Error("the session is over");

type Method = "GET" | "POST" | "PATCH" | "DELETE";
export type Query = Readonly<Record<string, string | number | readonly string[] | undefined>>;

interface Hooks {
  /** The CSRF token of this session; empty = none. */
  csrf(): string;
  /** The session ended: true when it was renewed and the call may be made again, false when it is over; or why that could not be asked. */
  renew(): Promise<boolean | ApiError>;
  /** This account may not do what the page offered: what it may has changed. */
  refused(): void;
  /** How many sessions have ended. */
  ended(): number;
}

let hooks: Hooks;

/** Of an account, not of the thing that was asked for. */
const CHANGED: readonly FailureCode[] = ["auth.forbidden", "auth.password_change_required", "auth.totp_enrolment_required"];

export function setHooks(given: Hooks): void {
  hooks = given;
}

export function url(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) for (const one of [value ?? []].flat()) search.append(name, String(one));
  const text = search.toString();
  return ROOT + path + (text ? `?${text}` : "");
}

let ahead = 0;
/** By how many seconds the hub's clock is ahead of this machine's, by the newest answer. */
export const hubAhead = (): number => ahead;

async function once(method: Method, path: string, { query = {}, body = {}, idempotencyKey }: Options): Promise<Response> {
  const init: RequestInit = { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS), method };
  const headers: Record<string, string> = { accept: "application/json" };
  if (idempotencyKey) headers["idempotency-key"] = idempotencyKey;
  if (method !== "GET") {
    headers["x-csrf-token"] = hooks.csrf();
    headers["content-type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  try {
    const response = await fetch(url(path, query), { ...init, headers });
    const at = Date.parse(response.headers.get("date") ?? "");
    if (at) ahead = (at - Date.now()) / 1000;
    return response;
  } catch (error) {
    if ((error as Error).name === "TimeoutError") throw new ApiError("timeout", 0, t`Ground Control did not answer within 15 s.`);
    throw new ApiError("network", 0, t`Ground Control could not be reached.`);
  }
}

async function problem(response: Response): Promise<ApiError> {
  const { status, headers } = response;
  const after = Number(headers.get("retry-after") || NaN);
  const said = (await response.json().catch(() => null)) as Partial<Problem> | null;
  const code = said ? ((said.code ?? "internal") as FailureCode) : "answer.unreadable";
  return new ApiError(code, status, String(said?.detail || said?.title || t`Ground Control answered ${status}.`), said?.facts, said?.instance, Number.isFinite(after) ? after : null);
}

interface Options {
  query?: Query;
  body?: unknown;
  idempotencyKey?: string;
  /** False for calls that make or renew the session. */
  renews?: boolean;
  /** True for calls about the session itself: the answer counts whoever is in by then. */
  always?: boolean;
}

export function call<T>(method: Method, path: string, options: Options = {}): Promise<T> {
  const { renews = true, always = !renews } = options;
  const asked = hooks.ended();
  const check = (): void => {
    if (!always && asked !== hooks.ended()) throw OVER;
  };
  const ask = async (renewable: boolean): Promise<T> => {
    const response = await once(method, path, options);
    if (!response.ok) {
      const failure = await problem(response);
      check();
      // Only a session that is over is renewed: a wrong password is a 401 too, and must not be tried twice.
      const renewed = renewable && failure.code === "auth.required" && (await hooks.renew());
      check(); // asked again, it would be asked by who is in now
      if (renewed === true) return ask(false);
      if (!always && CHANGED.includes(failure.code)) hooks.refused();
      throw renewed || failure;
    }
    if (response.status === 204) return undefined as T;
    try {
      return (await response.json()) as T;
    } catch {
      throw new ApiError("answer.unreadable", response.status, t`Ground Control's answer could not be read.`);
    }
  };
  return ask(renews).finally(check);
}

/** Whether the page would come if it were loaded anew. */
export function answers(): Promise<boolean> {
  return fetch(location.href, { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) }).then(
    ({ ok }) => ok,
    () => false,
  );
}

/** A key that makes a repeated request harmless. */
export function idempotencyKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What the hub says of itself to everybody; 503 is an answer as well. */
export async function health(): Promise<HealthView> {
  const answer = await fetch("/healthz", { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(PATIENCE_MS) });
  return (await answer.json()) as HealthView;
}
