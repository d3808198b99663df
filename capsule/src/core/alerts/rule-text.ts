/** Rules as sentences: "CPU total, mean of 10 min: above 95% → warning". */

import { seriesLabel } from "../charts/value-format";
import { EVENT_TYPES } from "../events/event-types.gen";
import { age, plural, t } from "../text";
import { alertValue } from "./alert-values";
import { expressionParts, type MetricWindow } from "./expression";
import type { PreviewEpisode, PreviewView, RuleView, SelectView, ThresholdView } from "../../wire/schema.gen";

export type RuleLike = Pick<RuleView, "expr" | "when" | "warn" | "crit" | "for_s" | "unit">;

/** Texts for the value that a rule reads. */
interface Words {
  value: string;
  /** The text of a rule that fires at any value above zero. */
  any?: string;
  /** Whether the thresholds are severities of an event, as in `EVENT_VALUES` of the hub. */
  event?: true;
}

const WORDS: Readonly<Record<string, Words>> = {
  offline: { value: t`silence of the server` },
  clock_skew: { value: t`difference of its clock` },
  reboot_due: { value: t`time since a reboot is due`, any: t`a reboot is due` },
  updates_security: { value: t`time that security updates wait` },
  patch_missed: { value: t`times in a row that patch policies did not reach it` },
  agent_outdated: { value: t`time since Ground Control ships another version of the agent` },
  lists_age: { value: t`age of the package lists` },
  unit_failed: { value: t`failed service`, any: t`a service has failed` },
  unit_restarting: { value: t`restarts of a service in 10 min`, any: t`a service restarts by itself` },
  container_restarting: { value: t`restarts of a container in 5 min`, any: t`a container restarts by itself` },
  container_unhealthy: { value: t`unhealthy container`, any: t`a container is unhealthy` },
  container_stopped: { value: t`stopped container`, any: t`a container stopped` },
  job_failed: { value: t`time since the last job failed`, any: t`the last job failed` },
  deadline_missed: { value: t`missed deadline`, any: t`an expected event is missing` },
  packages_broken: { value: t`half-installed packages`, any: t`a package is half installed` },
  hub_disk_free_percent: { value: t`free space of Ground Control` },
  hub_disk_free: { value: t`free space of Ground Control` },
  hub_backup_age: { value: t`age of Ground Control’s backup` },
  hub_channel_broken: { value: t`broken channel`, any: t`a channel cannot send` },
  hub_queue_drops: { value: t`dropped data in 5 min`, any: t`full queues dropped data` },
  hub_loop_lag: { value: t`delay of Ground Control` },
  hub_clock_jump: { value: t`jump of Ground Control’s clock` },
  hub_audit_broken: { value: t`changed audit log`, any: t`the audit log was changed from outside` },
  hub_data_lost: { value: t`lost data`, any: t`a database has lost its newest rows` },
  hub_mass_offline: { value: t`nodes that fell silent within one minute` },
  filesystem_space: { value: t`used space of a file system that has little left` },
  filesystem_fills: { value: t`time until a file system is full` },
  filesystem_readonly: { value: t`read-only file system`, any: t`a file system became read-only` },
  memory_oom: { value: t`killed programs in 5 min`, any: t`a program was killed for want of memory` },
  swap_thrash: { value: t`used swap while programs wait for memory` },
  cpu_saturated: { value: t`CPU total, mean of 10 min` },
  network_errors: { value: t`damaged or dropped packets of 10 min` },
  network_saturated: { value: t`use of a network link, mean of 5 min` },
  network_link: { value: t`network link that is down`, any: t`a network link is down` },
  disk_failing: { value: t`bad sectors of a disk`, any: t`a disk has bad sectors` },
  nvme_temperature: { value: t`temperature of an NVMe disk, mean of 5 min` },
  disk_temperature: { value: t`temperature of a disk, mean of 5 min` },
  sensor_temperature: { value: t`temperature, mean of 5 min` },
};

function windowWords({ reads, windowS }: MetricWindow): string {
  const span = age(windowS);
  switch (reads) {
    case "avg":
      return t`mean of ${span}`;
    case "max":
      return t`highest of ${span}`;
    case "min":
      return t`lowest of ${span}`;
    case "rate":
      return t`rate over ${span}`;
    case "last":
      return windowS ? t`newest of ${span}` : "";
  }
}

/** The name of a type of the catalogue in words; an event of a user's own has the name that its program gives it. */
const eventName = (name: string): string => (Object.hasOwn(EVENT_TYPES, name) ? name.replaceAll("_", " ") : name);

/** The texts for the expression of a rule. */
function subjectWords(expr: string): Words {
  const parts = expressionParts(expr);
  switch (parts.kind) {
    case "metric": {
      const name = [seriesLabel(parts.metric), parts.label].filter(Boolean).join(" ");
      return { value: [name, windowWords(parts)].filter(Boolean).join(", ") };
    }
    case "state":
    case "detector":
      return WORDS[parts.name] ?? { value: parts.name.replaceAll("_", " ") };
    case "event":
      return { value: t`event ${eventName(parts.name)}`, any: t`event ${eventName(parts.name)}`, event: true };
    default:
      return { value: expr };
  }
}

export const LEVEL_WORDS = { warning: t`warning`, critical: t`critical` } as const;

/** Whether any value above zero crosses the threshold, so that the sentence needs no number. The unit `level` is 1 for a warning and 2 for critical. */
const isAny = (rule: RuleLike, words: Words, threshold: ThresholdView): boolean =>
  words.any !== undefined && rule.when === "above" && (threshold.trigger === 0 || rule.unit === "level" || words.event === true);

const severityWords = (trigger: number): string =>
  trigger >= 0.5 ? t`reported as an error` : trigger >= 0.25 ? t`reported as a warning or an error` : "";

function levelWords(rule: RuleLike, words: Words, any: boolean): string {
  if (rule.unit === "level" && rule.warn && rule.crit) return t`→ warning or critical, as the deadline says`;
  const one = (threshold: ThresholdView, level: string): string => {
    if (any) return [words.event ? severityWords(threshold.trigger) : "", t`→ ${level}`].filter(Boolean).join(" ");
    const value = alertValue(threshold.trigger, rule.unit);
    return rule.when === "above" ? t`above ${value} → ${level}` : t`below ${value} → ${level}`;
  };
  // at the same value it is critical at once, and never a warning
  const warn = rule.warn && rule.warn.trigger !== rule.crit?.trigger;
  return [warn && rule.warn && one(rule.warn, LEVEL_WORDS.warning), rule.crit && one(rule.crit, LEVEL_WORDS.critical)]
    .filter(Boolean)
    .join(" · ");
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

export function ruleSentence(rule: RuleLike): string {
  const words = subjectWords(rule.expr);
  const any = [rule.warn, rule.crit].every((threshold) => !threshold || isAny(rule, words, threshold));
  const levels = levelWords(rule, words, any);
  const lasts = rule.for_s > 0 ? t`, for ${age(rule.for_s)}` : "";
  return any ? `${capital(words.any ?? "")}${lasts} ${levels}` : `${capital(words.value)}: ${levels}${lasts}`;
}

/** The selected servers: "all servers", "tag web, tag db", "3 servers". */
export function selectWords({ all, tags, nodes }: SelectView, nameOf: (node: string) => string): string {
  if (all) return t`all servers`;
  const named = nodes.length > 2 ? [plural(nodes.length, "server")] : nodes.map(nameOf);
  return [...tags.map((tag) => t`tag ${tag}`), ...named].join(", ") || t`no server`;
}

/** The groups of the list of rules, in order. */
export type RuleGroup = "own" | "servers" | "hub";

export const ruleGroup = ({ origin, kind, expr }: { origin: string; kind: string; expr: string }): RuleGroup =>
  origin === "user" ? "own" : kind === "hub" || expr.startsWith("state(hub_") ? "hub" : "servers";

export type PreviewLike = Pick<PreviewView, "told" | "complete"> & { would_fire: readonly Pick<PreviewEpisode, "node_id" | "told">[] };

/** How often the rule would have fired, as one or two sentences. */
export function previewSentence(found: PreviewLike, days: number): string {
  const times = found.would_fire.length;
  const partly = found.complete ? "" : ` ${t`The history does not cover all of it.`}`;
  if (!times) return t`Would not have fired in the last ${days} days.` + partly;
  const where = new Set(found.would_fire.flatMap((one) => one.node_id ?? [])).size;
  const often = t`Would have fired ${plural(times, "time")} in the last ${days} days`;
  const fired = where ? t`${often} on ${plural(where, "server")}` : often;
  return (found.told ? t`${fired}, and notified you ${plural(found.told, "time")}.` : t`${fired}, and notified nobody.`) + partly;
}

/** Whether the name or the sentence of a rule has every word of a search, in any case. */
export function ruleFits(rule: RuleLike & { name: string }, search: string): boolean {
  const text = `${rule.name} ${ruleSentence(rule)} ${rule.expr}`.toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
