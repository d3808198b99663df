/** Labels and small rules for users, their sessions and their codes. */

import { age, duration, percent, pluralWord, size, t, timeOrDate } from "../text";
import type { GrantsView } from "../../wire/schema.gen";

export type Role = "admin" | "operator" | "viewer";

export const ROLES: readonly Role[] = ["viewer", "operator", "admin"];

export const ROLE_LABELS: Record<Role, string> = { admin: t`Admin`, operator: t`Operator`, viewer: t`Viewer` };

export const ROLE_HINTS: Record<Role, string> = {
  viewer: t`Sees nodes, history, jobs and events. Changes nothing.`,
  operator: t`Also adds and removes nodes and runs upgrades.`,
  admin: t`Everything, including users and the audit log. Sees every node.`,
};

/** The roles up to this one, the weakest first. Each role includes the rights of the roles before it. */
export const rolesUpTo = (role: Role): readonly Role[] => ROLES.slice(0, ROLES.indexOf(role) + 1);

/** The digits of a typed or pasted code, six at most. Apps show a code as "418 042". */
export const codeDigits = (text: string): string => text.replace(/\D/g, "").slice(0, 6);

/** Base32 in groups of four, easy to read aloud and to type. */
export const groupSecret = (secret: string): string => secret.replace(/\s/g, "").replace(/(.{4})(?=.)/g, "$1 ");

const BROWSERS: readonly (readonly [RegExp, string])[] = [
  [/\bEdgA?\//, "Edge"],
  [/\bOPR\//, "Opera"],
  [/\bFirefox\/|\bFxiOS\//, "Firefox"],
  [/\bHeadlessChrome\/|\bChrome\/|\bCriOS\//, "Chrome"],
  [/\bSafari\//, "Safari"],
  [/^curl\//, "curl"],
  [/^python/i, "Python"],
];
const SYSTEMS: readonly (readonly [RegExp, string])[] = [
  [/\bAndroid\b/, "Android"],
  [/\biPhone\b|\biPad\b/, "iOS"],
  [/\bWindows\b/, "Windows"],
  [/\bMac OS X\b|\bMacintosh\b/, "macOS"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bLinux\b|\bX11\b/, "Linux"],
];

/** A name such as "Firefox on Linux" for a User-Agent. An unknown User-Agent is shown as sent, cut to 60 characters; an empty one as "Unknown program". */
export function deviceName(agent: string): string {
  const browser = BROWSERS.find(([pattern]) => pattern.test(agent))?.[1];
  const system = SYSTEMS.find(([pattern]) => pattern.test(agent))?.[1];
  if (browser && system) return t`${browser} on ${system}`;
  return browser ?? system ?? (agent.slice(0, 60) || t`Unknown program`);
}

/** A short text for the nodes that a user may see. */
export function grantsLabel(grants: GrantsView | null, every = t`Every node`): string {
  if (!grants) return every;
  const count = grants.nodes.length;
  const parts = [...grants.tags.map((tag) => t`tag ${tag}`), ...(count ? [t`${count} ${pluralWord(count, "node")}`] : [])];
  return parts.join(", ") || t`No node`;
}

export const grantsNothing = (grants: GrantsView): boolean => !grants.nodes.length && !grants.tags.length;

/** The recovery codes as a text file or for printing. */
export function recoveryText(codes: readonly string[], username: string, host: string): string {
  return [
    t`Stardust recovery codes of ${username} at ${host}`,
    t`Each one signs you in once, in place of the code from the app.`,
    "",
    ...codes,
    "",
  ].join("\n");
}

/** The detail in which null stands for every node. */
const GRANTS = "grants";

/** Labels for the hub's names of details. */
const DETAIL_NAMES: Readonly<Record<string, string>> = {
  action: t`action`,
  address: t`address`,
  batch: t`bulk job`,
  before: t`before`,
  by: t`by`,
  by_time: t`until`,
  behind_s: t`behind by`,
  min_severity: t`from severity`,
  critical_per_hour: t`critical messages an hour`,
  per_hour: t`messages an hour`,
  start_time: t`from time`,
  valid_from: t`valid from`,
  disabled: t`disabled`,
  error: t`error`,
  exit_code: t`exit code`,
  expires_at: t`expires`,
  follows: t`requested by`,
  for: t`on behalf of`,
  for_action: t`for`,
  grants: t`grants`,
  host: t`host`,
  jobs: t`jobs`,
  left: t`left`,
  made_at: t`created`,
  most_uses: t`maximum uses`,
  name: t`name`,
  node: t`node`,
  nodes: t`nodes`,
  owner: t`owner`,
  packages: t`packages`,
  plan_of: t`plan`,
  plans_of: t`plans`,
  reboot: t`reboot`,
  role: t`role`,
  since_at: t`since`,
  state: t`state`,
  tags: t`tags`,
  until_at: t`until`,
  user: t`user`,
  username: t`user name`,
  why: t`why`,
};

/** The label of a detail. The end of a name that gives the unit of its value is left out: the value shows it. */
const detailName = (name: string): string => DETAIL_NAMES[name] ?? name.replace(UNIT, "").replace(/_/g, " ");
const UNIT = /_(?:s|at|bytes|percent)$/;

/** The details of a row of the audit log on one line. Details without a value are left out, except null for `GRANTS`. `now` in Unix seconds. */
export function detailText(detail: Readonly<Record<string, unknown>>, now: number): string {
  return Object.entries(detail)
    .flatMap(([name, value]) => {
      const words = value === null && name === GRANTS ? t`every node` : valueLabel(value, now, name);
      return words ? [`${detailName(name)}: ${words}`] : [];
    })
    .join(" · ");
}

function valueLabel(value: unknown, now: number, name = ""): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? t`yes` : t`no`;
  if (typeof value === "number") return measured(value, now, name);
  if (Array.isArray(value))
    return (
      value
        .map((one) => valueLabel(one, now))
        .filter(Boolean)
        .join(", ") || t`none`
    );
  if (typeof value !== "object") return String(value);
  const parts = Object.entries(value).flatMap(([part, inner]) => {
    const words = valueLabel(inner, now, part);
    return words ? [`${detailName(part)} ${words}`] : [];
  });
  return parts.join(", ") || t`none`;
}

/** A number with the unit that its name ends with, such as `grace_s`. */
function measured(value: number, now: number, name: string): string {
  switch (UNIT.exec(name)?.[0]) {
    case "_s":
      return value === 0 ? t`none` : Number.isInteger(value) ? age(value) : duration(value);
    case "_at":
      return timeOrDate(value, now);
    case "_bytes":
      return size(value);
    case "_percent":
      return percent(value);
    default:
      return String(value);
  }
}
