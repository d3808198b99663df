/** The organisation in which this tab works. Each request names it, if the user belongs to several. */

import { signal } from "@preact/signals";
import { hostCookie, readCookie, writeCookie } from "./cookies";
import type { MeView, OwnOrganisationView } from "../wire/schema.gen";

/** The cookie with the organisation that this browser worked in last. The hub does not read it. */
const COOKIE = hostCookie("organisation");

/** The organisations of the user. */
export const organisations = signal<readonly OwnOrganisationView[]>([]);
/** The short name that requests carry; empty = it is not known yet, or the user belongs to none. */
export const chosen = signal("");
export const isHubAdmin = signal(false);
/** Whether the hub has more than one organisation. Until then nothing shows of them. */
export const manyOrganisations = signal(false);
/** Why the user works in no organisation; empty = the user works in one. */
export const outside = signal<"" | "suspended" | "none">("");

/** Takes over what the hub says about the user. Returns true if another organisation is chosen now, so that the hub must be asked again. */
export function adopt(me: MeView): boolean {
  organisations.value = me.organisations;
  isHubAdmin.value = me.instance_admin;
  manyOrganisations.value = me.many_organisations;
  outside.value = me.organisation !== null ? "" : me.organisations.length ? "suspended" : "none";
  // The only one is named, too: the user may join another one at any moment.
  if (me.organisation !== null || !me.organisations.length) {
    chosen.value = me.organisation ?? "";
    return false;
  }
  const before = chosen.peek();
  const wished = before || readCookie(COOKIE);
  const open = me.organisations.filter(({ state, slug }) => state === "active" && slug !== before);
  chosen.value = (open.find(({ slug }) => slug === wished) ?? open[0] ?? me.organisations[0])?.slug ?? "";
  return chosen.peek() !== before;
}

/** Works in another organisation from now on. The page is loaded anew: nothing of the other one stays in it. */
export function switchTo(slug: string): void {
  writeCookie(COOKIE, slug);
  location.assign("/");
}

/** The query of a link, which can send no header. */
export const named = (): { organisation?: string } => (organisations.peek().length > 1 ? { organisation: chosen.peek() } : {});
