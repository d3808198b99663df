/** REST calls for alerts, rules, channels, deliveries, maintenance windows and deadlines. */

import { t } from "../core/text";
import { signal } from "@preact/signals";
import { ApiError, call } from "../wire/http";
import type {
  ChannelBody,
  ChannelPatch,
  DeliveryView,
  ExpectationBody,
  ExpectationPatch,
  FormatPreviewBody,
  LinkBody,
  MaintenanceBody,
  PreviewView,
  RuleBody,
  RulePatch,
  RulesBody,
  RuleView,
} from "../wire/schema.gen";
import { alerts, noteAlerts } from "./alerts";
import { hubNow } from "./clock";
import { onSessionEnd } from "./session";
import { withStepUp } from "./step-up";

const PAGE = 30;

// -- alerts ------------------------------------------------------------------------------------------

export async function acknowledge(ids: string[], note: string): Promise<void> {
  noteAlerts((await call("POST", "alerts/acknowledge", { body: { ids, note } })).alerts);
}

/** Snoozes an alert until a time in Unix seconds. A time in the past, or null, ends its snooze. */
export async function snooze(id: string, until: number | null): Promise<void> {
  const ahead = until !== null && until > hubNow();
  noteAlerts([await (ahead ? call("POST", `alerts/${id}/snooze`, { body: { until_at: until } }) : call("POST", `alerts/${id}/unsnooze`))]);
}

/** Why each channel did or did not report the alert. */
export const explain = async (id: string) => (await call("GET", `alerts/${id}/explain`)).channels;

/** A page of the resolved incidents. */
export const findResolvedIncidents = (cursor?: string) => call("GET", "incidents", { query: { limit: PAGE, cursor, state: "resolved" } });

/** One incident with its timeline. */
export const findIncident = (id: string) => call("GET", `incidents/${id}`);

/** Runs the action of a link in a message. It needs no sign-in: the token names the alert and proves that the link came from this hub. The action is not part of the token. */
export const followLink = (body: LinkBody) => call("POST", "links/alert", { body, renews: false });

// -- rules -------------------------------------------------------------------------------------------

/** All rules; null = not loaded yet. */
export const rules = signal<readonly RuleView[] | null>(null);

export async function loadRules(): Promise<readonly RuleView[]> {
  rules.value = (await call("GET", "rules")).rules;
  return rules.value;
}

function noteRule(rule: RuleView): void {
  const known = rules.peek() ?? [];
  rules.value = known.some(({ id }) => id === rule.id) ? known.map((one) => (one.id === rule.id ? rule : one)) : [...known, rule];
}

export async function addRule(body: RuleBody): Promise<void> {
  noteRule(await withStepUp(() => call("POST", "rules", { body }), t`Enter your password to add a rule.`));
}

export async function editRule(id: string, body: RulePatch): Promise<void> {
  noteRule(await withStepUp(() => call("PATCH", `rules/${id}`, { body }), t`Enter your password to change a rule.`));
}

/** Deletes a user's rule, or resets a default rule to its default values. */
export async function removeRule(id: string): Promise<void> {
  await withStepUp(() => call("DELETE", `rules/${id}`), t`Enter your password to remove a rule or its changes.`);
  await loadRules();
}

/** Applies a file of rules, all or none; with `dryRun` the hub only says what it would do. */
export const applyRules = (items: RulesBody["rules"], dryRun: boolean) =>
  withStepUp(
    () => call("POST", "rules/apply", { body: { rules: items, dry_run: dryRun } }),
    t`Enter your password to apply a file of rules.`,
  );

/** The times at which this rule would have fired on the stored samples between `from` and `to` (Unix seconds); null: this hub cannot preview rules. */
export async function previewRule(rule: RuleBody, from: number, to: number): Promise<PreviewView | null> {
  try {
    return await call("POST", "rules/preview", { body: { rule, from, to } });
  } catch (error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 405)) return null;
    throw error;
  }
}

export const loadMetrics = async () => (await call("GET", "metrics")).metrics;

// -- channels ----------------------------------------------------------------------------------------

export const loadChannels = async () => (await call("GET", "channels")).channels;
export const loadKinds = async () => (await call("GET", "channels/kinds")).kinds;
export const addChannel = (body: ChannelBody) =>
  withStepUp(() => call("POST", "channels", { body }), t`Enter your password to add a channel.`);
export const editChannel = (id: string, body: ChannelPatch) =>
  withStepUp(() => call("PATCH", `channels/${id}`, { body }), t`Enter your password to change a channel.`);
export const deleteChannel = (id: string) =>
  withStepUp(() => call("DELETE", `channels/${id}`), t`Enter your password to delete a channel.`);
export const testChannel = async (id: string) => (await call("POST", `channels/${id}/test`)).delivery_id;
export const previewFormat = async (body: FormatPreviewBody) => (await call("POST", "channels/preview", { body })).payload;

// -- deliveries --------------------------------------------------------------------------------------

export interface DeliveriesQuery {
  state?: string | undefined;
  channel?: string | undefined;
}

export const findDeliveries = (only: DeliveriesQuery, cursor?: string) =>
  call("GET", "deliveries", { query: { limit: PAGE, cursor, ...only } });
export const retryDelivery = (id: string) => call("POST", `deliveries/${id}/retry`);

/** A delivery of a channel; null if it is not among the channel's newest deliveries. */
export async function deliveryOf(channel: string, id: string): Promise<DeliveryView | null> {
  const { deliveries } = await findDeliveries({ channel });
  return deliveries.find((one) => one.id === id) ?? null;
}

// -- maintenance and deadlines -----------------------------------------------------------------------

export const loadMaintenance = async () => (await call("GET", "maintenance")).maintenance;
export const addMaintenance = (body: MaintenanceBody) => call("POST", "maintenance", { body });
export const endMaintenance = (id: string) => call("DELETE", `maintenance/${id}`);

export const loadExpectations = async () => (await call("GET", "expectations")).expectations;
/** The calendar of a deadline, the newest day first. */
export const loadDays = async (id: string) => (await call("GET", `expectations/${id}/days`)).days;
export const addExpectation = (body: ExpectationBody) =>
  withStepUp(() => call("POST", "expectations", { body }), t`Enter your password to add a deadline.`);
export const editExpectation = (id: string, body: ExpectationPatch) =>
  withStepUp(() => call("PATCH", `expectations/${id}`, { body }), t`Enter your password to change a deadline.`);
export const deleteExpectation = (id: string) =>
  withStepUp(() => call("DELETE", `expectations/${id}`), t`Enter your password to delete a deadline.`);

onSessionEnd(() => {
  rules.value = null;
});

/** The most alerts whose present values are read at once. */
const MOST_PRESENT = 500;

/** Reads the present values of the firing alerts. The live topic tells only of changes of their state. */
export async function readPresentValues(): Promise<void> {
  const found = await call("GET", "alerts", { query: { state: "firing", limit: MOST_PRESENT } });
  const present = new Map(found.alerts.map((one) => [one.id, one.present]));
  alerts.value = new Map(
    [...alerts.peek()].map(([id, one]) => [id, one.state === "firing" ? { ...one, present: present.get(id) ?? null } : one]),
  );
}
