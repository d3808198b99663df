/** REST calls: JSON in both directions, the session's CSRF token with unsafe methods, and RFC 9457 problems as `ApiError`. */

import { t } from "../core/text";
import { withFieldWords } from "../core/text/field-words";
import type { ErrorCode, HealthView, Problem, Routes } from "./schema.gen";

export const ROOT = "/api/v1/";
const PATIENCE_MS = 15_000;

export type FailureCode = ErrorCode | "network" | "timeout" | "answer.unreadable";

/** A refusal of the hub, an answer that cannot be read, or a failed connection (`status` 0). */
export class ApiError extends Error {
  /** The reason as a sentence. The hub writes it without a capital letter and full stop; the path of a field in front of it becomes a word. */
  readonly detail: string;

  constructor(
    readonly code: FailureCode,
    readonly status: number,
    text: string,
    readonly facts: Readonly<Record<string, unknown>> = {},
    /** The id of this answer in the hub's log. */
    readonly instance = "",
    readonly retryAfterS: number | null = null,
  ) {
    super(text);
    const words = withFieldWords(text, facts["field"]);
    this.detail = words.charAt(0).toUpperCase() + words.slice(1) + (/[^.?!]$/.test(text) ? "." : "");
  }
}

/** Thrown for an answer that arrives after its session has ended. Nothing is shown, because the view that asked is closed. */
export const OVER = new Error("the session is over");

type Method = "GET" | "POST" | "PATCH" | "DELETE";
export type Query = Readonly<Record<string, string | number | readonly string[] | undefined>>;

interface Hooks {
  /** The CSRF token of this session; empty = none. */
  csrf(): string;
  /** Renews an expired session. True = the call may be repeated; false = the session is over; or the error of the renewal. */
  renew(): Promise<boolean | ApiError>;
  /** Called after a refusal that shows that the account or its rights have changed. */
  refused(): void;
  /** The short name of the organisation that a request names; empty = none. */
  organisation(): string;
  /** The number of ended sessions. */
  ended(): number;
}

let hooks: Hooks;

/** The codes of refusals that concern the account, not the requested object. */
const ACCOUNT_REFUSALS: readonly FailureCode[] = [
  "auth.forbidden",
  "auth.password_change_required",
  "auth.totp_enrolment_required",
  "organisation.required",
  "organisation.unknown",
  "organisation.suspended",
];

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
/** The seconds by which the hub's clock is ahead of this machine's clock, according to the newest answer. */
export const hubAhead = (): number => ahead;

async function send(
  method: Method,
  path: string,
  { query = {}, body = {}, idempotencyKey, patienceMs = PATIENCE_MS }: Options,
): Promise<Response> {
  const init: RequestInit = { cache: "no-store", signal: AbortSignal.timeout(patienceMs), method };
  const headers: Record<string, string> = { accept: "application/json" };
  const organisation = hooks.organisation();
  if (organisation) headers["stardust-organisation"] = organisation;
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
    throw connectionError(error);
  }
}

const connectionError = (error: unknown): ApiError =>
  (error as Error).name === "TimeoutError"
    ? new ApiError("timeout", 0, t`Ground Control did not answer within 15 s.`)
    : new ApiError("network", 0, t`Ground Control could not be reached.`);

async function errorOf(response: Response): Promise<ApiError> {
  const { status, headers } = response;
  const after = Number(headers.get("retry-after") || NaN);
  const problem = (await response.json().catch(() => null)) as Partial<Problem> | null;
  const code = problem ? ((problem.code ?? "internal") as FailureCode) : "answer.unreadable";
  return new ApiError(
    code,
    status,
    String(problem?.detail || problem?.title || t`Ground Control answered ${status}.`),
    problem?.facts,
    problem?.instance,
    Number.isFinite(after) ? after : null,
  );
}

/** A part of a path as the table of routes writes it: `*` if it is known only at run time. */
type Part<P extends string> = Record<never, never> extends Record<P, 1> ? "*" : P;
type Pattern<P extends string> = P extends `${infer First}/${infer Rest}` ? `${Part<First>}/${Pattern<Rest>}` : Part<P>;
/** What a route takes and answers; never = the hub has no such route. */
type Route<M extends Method, P extends string> = `${M} ${Pattern<P>}` extends keyof Routes ? Routes[`${M} ${Pattern<P>}`] : never;

interface Options<Body = unknown> {
  query?: Query;
  body?: Body;
  idempotencyKey?: string;
  /** How long to wait for the answer, for calls that read very much. */
  patienceMs?: number;
  /** False for calls that create or renew the session. */
  renews?: boolean;
  /** True for calls about the session itself: their answer counts even if the session has ended. The default is true if `renews` is false. */
  always?: boolean;
}

/** Calls the hub. An expired session is renewed and the call repeated once. Raises: ApiError; or OVER if the session ended meanwhile, unless `always`. */
export function call<M extends Method, P extends string>(
  method: M,
  path: [Route<M, P>] extends [never] ? never : P,
  options: Options<Route<M, P>[0]> = {},
): Promise<Route<M, P>[1]> {
  type T = Route<M, P>[1];
  const { renews = true, always = !renews } = options;
  const endedAtStart = hooks.ended();
  const check = (): void => {
    if (!always && endedAtStart !== hooks.ended()) throw OVER;
  };
  const ask = async (renewable: boolean): Promise<T> => {
    const response = await send(method, path, options);
    if (!response.ok) {
      const failure = await errorOf(response);
      check();
      // Renews only for `auth.required`: a wrong password gives a 401 as well, and must not be sent twice.
      const renewed = renewable && failure.code === "auth.required" && (await hooks.renew());
      check(); // a repeated call would run as the current user
      if (renewed === true) return ask(false);
      if (!always && ACCOUNT_REFUSALS.includes(failure.code)) hooks.refused();
      throw renewed || failure;
    }
    if (response.status === 204) return undefined as T;
    try {
      return (await response.json()) as T;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw connectionError(error);
      throw new ApiError("answer.unreadable", response.status, t`Ground Control's answer could not be read.`);
    }
  };
  return ask(renews).finally(check);
}

/** Whether the hub answers a request for this page with success. */
export function hubResponds(): Promise<boolean> {
  return fetch(location.href, { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) }).then(
    ({ ok }) => ok,
    () => false,
  );
}

/** A random key with which the hub recognises a repeated request. */
export function idempotencyKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The hub's public health. An answer with status 503 is a health view, too. Raises the errors of `fetch` and of `json` as they are, not ApiError. */
export async function fetchHealth(): Promise<HealthView> {
  const answer = await fetch("/healthz", { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(PATIENCE_MS) });
  return (await answer.json()) as HealthView;
}
