/** The fields of a patch policy about order, gates, probes and reboots. */

import type { VNode } from "preact";
import { MOST_PROBES, type ProbeKind, probeError, rangeError, rangeOf } from "../../core/rollouts/policy-fields";
import { REBOOTS } from "../../core/rollouts/rollout-text";
import { t } from "../../core/text";
import { Button, TextField } from "../../ui";
import { SelectField, TagsField } from "../../ui/form";
import { Card, options, type Part } from "./policy-parts";

const PROBE_KINDS: Readonly<Record<ProbeKind, string>> = { http: t`HTTP address`, tcp: t`TCP port`, unit: t`systemd unit` };
const EXAMPLES: Readonly<Record<ProbeKind, string>> = { http: "http://localhost:8080/health", tcp: "5432", unit: "nginx.service" };

export function Order({ draft, change }: Part): VNode {
  const order = draft.order ?? {};
  const number = (text: string): number => Number(text) || 0;
  return (
    <Card title={t`Order, and what stops it`}>
      <TagsField
        label={t`Groups of tags, one after the other (empty: canaries, then waves)`}
        tags={order.groups ?? []}
        onTags={(groups) => change({ order: { ...order, groups } })}
      />
      <div class="number-fields">
        <TextField
          label={t`Canaries`}
          type="number"
          value={order.canary === null || order.canary === undefined ? "" : String(order.canary)}
          onText={(count) => change({ order: { ...order, canary: count === "" ? null : number(count) } })}
          wrong={rangeError("canary", order.canary ?? 0)}
          input={{ ...rangeOf("canary"), placeholder: t`1 or 2` }}
        />
        {!order.groups?.length && (
          <TextField
            label={t`First wave, %`}
            type="number"
            value={String(order.percent ?? 10)}
            onText={(percent) => change({ order: { ...order, percent: number(percent) } })}
            wrong={rangeError("percent", order.percent ?? 10)}
            input={{ ...rangeOf("percent"), required: true }}
          />
        )}
        <TextField
          label={t`At the same time`}
          type="number"
          value={String(order.at_once ?? 10)}
          onText={(count) => change({ order: { ...order, at_once: number(count) } })}
          wrong={rangeError("at_once", order.at_once ?? 10)}
          input={rangeOf("at_once")}
        />
        <TextField
          label={t`Accepted failures`}
          type="number"
          value={String(draft.max_failed ?? 0)}
          onText={(count) => change({ max_failed: number(count) })}
          wrong={rangeError("max_failed", draft.max_failed ?? 0)}
          input={rangeOf("max_failed")}
        />
        <TextField
          label={t`Watch for minutes`}
          type="number"
          value={String(Math.round((draft.watch_s ?? 900) / 60))}
          onText={(minutes) => change({ watch_s: number(minutes) * 60 })}
          wrong={rangeError("watch_minutes", (draft.watch_s ?? 900) / 60)}
          input={rangeOf("watch_minutes")}
        />
      </div>
      <SelectField
        label={t`When a server gets worse`}
        value={draft.gates ?? "stop"}
        onPick={(gates) => change({ gates: gates as "stop" })}
        options={[
          ["stop", t`stop the roll-out`],
          ["observe", t`only show it`],
        ]}
      />
      <ProbeFields draft={draft} change={change} />
      <TagsField
        label={t`Tags that are roles (empty: those that begin with “role:”)`}
        tags={draft.role_tags ?? []}
        onTags={(role_tags) => change({ role_tags })}
      />
      <p class="meta t3">{t`Servers of one role are compared with each other, and reboot one after the other.`}</p>
      <div class="number-fields">
        <SelectField
          label={t`Reboot`}
          value={draft.reboot ?? "if_required"}
          onPick={(reboot) => change({ reboot: reboot as "never" })}
          options={options(REBOOTS)}
        />
        <TextField
          label={t`Reboots at the same time in a role`}
          type="number"
          value={String(draft.max_per_role ?? 1)}
          onText={(count) => change({ max_per_role: number(count) })}
          wrong={rangeError("max_per_role", draft.max_per_role ?? 1)}
          input={rangeOf("max_per_role")}
        />
      </div>
    </Card>
  );
}

/** What must answer on each server while it is watched. */
export function ProbeFields({ draft, change }: Part): VNode {
  const probes = draft.probes ?? [];
  const edit = (at: number, part: Partial<(typeof probes)[number]>): void =>
    change({ probes: probes.map((one, index) => (index === at ? { ...one, ...part } : one)) });
  return (
    <div class="stack" role="group" aria-label={t`Probes`}>
      <p class="label">{t`Probes: what must answer on each server itself, if it answered before`}</p>
      {probes.map(({ kind, target }, at) => (
        <div class="probe-fields" key={at}>
          <SelectField
            label={t`Kind of probe ${at + 1}`}
            value={kind}
            onPick={(next) => edit(at, { kind: next as ProbeKind })}
            options={options(PROBE_KINDS)}
          />
          <TextField
            label={t`Target of probe ${at + 1}`}
            value={target}
            onText={(next) => edit(at, { target: next.trim() })}
            wrong={target && probeError(kind, target)}
            input={{ required: true, maxLength: 340, placeholder: EXAMPLES[kind], autocomplete: "off", spellcheck: false }}
          />
          <Button
            kind="quiet"
            icon="trash-2"
            name={t`Remove probe ${at + 1}`}
            onClick={() => change({ probes: probes.filter((_, index) => index !== at) })}
          />
        </div>
      ))}
      {probes.length < MOST_PROBES && (
        <div>
          <Button slim icon="plus" onClick={() => change({ probes: [...probes, { kind: "http", target: "" }] })}>{t`Add probe`}</Button>
        </div>
      )}
    </div>
  );
}
