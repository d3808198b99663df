/** The fields of a patch policy about what comes before and after each server, and about approval and report. */

import type { VNode } from "preact";
import { useId } from "preact/hooks";
import { EVENT_TYPES } from "../../core/events/event-types.gen";
import {
  actionNamesError,
  actionTimeError,
  eventTimeError,
  eventTypeError,
  LONGEST_ACTION_S,
  rangeError,
  rangeOf,
} from "../../core/rollouts/policy-fields";
import { APPROVALS } from "../../core/rollouts/rollout-text";
import { t } from "../../core/text";
import { loadChannels } from "../../state/alert-calls";
import type { PatchPolicyBody } from "../../state/types";
import { TextField } from "../../ui";
import { Check, SelectField, TagsField } from "../../ui/form";
import { useAll } from "../alerts/use-all";
import { Card, options, type Part } from "./policy-parts";

type Action = NonNullable<PatchPolicyBody["before"]>[number];
type NeedsEvent = NonNullable<PatchPolicyBody["needs_event"]>;

const ACTION_S = 600;
const HOUR_S = 3600;
const DAY_H = 24;

export function Around({ draft, change }: Part): VNode {
  return (
    <Card title={t`Around it`}>
      <EventFields value={draft.needs_event ?? null} onChange={(needs_event) => change({ needs_event })} />
      <ActionFields label={t`Actions before each server`} value={draft.before ?? []} onChange={(before) => change({ before })} />
      <ActionFields label={t`Actions after each server`} value={draft.after ?? []} onChange={(after) => change({ after })} />
      <p class="meta t3">{t`An action is a program that root of a server has put into actions.d and named in its policy file.`}</p>
      <div class="number-fields">
        <SelectField
          label={t`Approval`}
          value={draft.approval ?? "none"}
          onPick={(approval) => change({ approval: approval as "none" })}
          options={options(APPROVALS)}
        />
        <TextField
          label={t`Notice, hours before`}
          type="number"
          value={String(draft.notice_h ?? DAY_H)}
          onText={(hours) => change({ notice_h: Number(hours) })}
          wrong={rangeError("notice_h", draft.notice_h ?? DAY_H)}
          input={rangeOf("notice_h")}
        />
      </div>
      <ReportField value={draft.report ?? []} onChange={(report) => change({ report })} />
    </Card>
  );
}

function EventFields({ value, onChange }: { value: NeedsEvent | null; onChange: (value: NeedsEvent | null) => void }): VNode {
  const list = useId();
  return (
    <>
      <Check checked={value !== null} onCheck={(on) => onChange(on ? { type: "", within_s: DAY_H * HOUR_S } : null)}>
        {t`Only servers that have reported an event, such as a backup`}
      </Check>
      {value && (
        <div class="number-fields">
          <TextField
            label={t`Event`}
            value={value.type}
            onText={(type) => onChange({ ...value, type: type.trim() })}
            wrong={value.type && eventTypeError(value.type)}
            hint={t`A type of event, or the name of your own.`}
            input={{ list, required: true, maxLength: 100, placeholder: "backup_completed", autocomplete: "off", spellcheck: false }}
          />
          <TextField
            label={t`Within the last hours`}
            type="number"
            value={String(value.within_s / HOUR_S)}
            onText={(hours) => onChange({ ...value, within_s: Math.round(Number(hours) * HOUR_S) })}
            wrong={eventTimeError(value.within_s)}
            input={{ min: 0, step: "any", required: true }}
          />
          <datalist id={list}>
            {Object.keys(EVENT_TYPES).map((type) => (
              <option key={type} value={type} />
            ))}
          </datalist>
        </div>
      )}
    </>
  );
}

interface ActionProps {
  label: string;
  value: readonly Action[];
  onChange: (actions: Action[]) => void;
}

function ActionFields({ label, value, onChange }: ActionProps): VNode {
  const named = (names: readonly string[]): Action[] =>
    names.map((name) => value.find((one) => one.name === name) ?? { name, timeout_s: ACTION_S, must_succeed: true });
  const edit = (name: string, part: Partial<Action>): void => onChange(value.map((one) => (one.name === name ? { ...one, ...part } : one)));
  return (
    <div class="stack">
      <TagsField
        label={label}
        hint={t`add the name of an action`}
        tags={value.map(({ name }) => name)}
        onTags={(names) => onChange(named(names))}
        check={actionNamesError}
      />
      {value.map(({ name, timeout_s: limit = ACTION_S, must_succeed: must = true }) => (
        <div class="number-fields" key={name}>
          <TextField
            label={t`Seconds that ${name} may take`}
            type="number"
            value={String(limit)}
            onText={(seconds) => edit(name, { timeout_s: Number(seconds) })}
            wrong={actionTimeError(limit)}
            input={{ min: 1, max: LONGEST_ACTION_S, required: true }}
          />
          <Check checked={must} onCheck={(on) => edit(name, { must_succeed: on })}>
            {t`If ${name} fails, the server failed`}
          </Check>
        </div>
      ))}
    </div>
  );
}

function ReportField({ value, onChange }: { value: readonly string[]; onChange: (ids: string[]) => void }): VNode {
  const channels = useAll(loadChannels);
  return (
    <div role="group" aria-label={t`Report to`}>
      <p class="label">{t`Report to`}</p>
      {channels.items?.length ? (
        channels.items.map(({ id, name }) => (
          <Check key={id} checked={value.includes(id)} onCheck={(on) => onChange(on ? [...value, id] : value.filter((one) => one !== id))}>
            {name}
          </Check>
        ))
      ) : (
        <p class="meta t3">
          {channels.failure ? channels.failure.detail : channels.items ? t`There is no channel yet.` : t`Reading the channels…`}
        </p>
      )}
    </div>
  );
}
