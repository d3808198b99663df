/** Fields for a calendar: weekly, a weekday of each month, every N weeks, or once; and the zone. */

import type { VNode } from "preact";
import { DAYS, DAY_WORDS, type Day } from "../../core/alerts/schedule-text";
import { dateError, daysError, rangeError, rangeOf } from "../../core/rollouts/policy-fields";
import { ZONE_OF_NODE } from "../../core/rollouts/rollout-text";
import { t } from "../../core/text";
import type { PatchPolicyBody } from "../../state/types";
import { TextField } from "../../ui";
import { Check, SelectField } from "../../ui/form";
import { DaysField, ownZone, ZoneField } from "../alerts/schedule-fields";

type When = PatchPolicyBody["when"];
type Form = "weekly" | "monthly" | "every_weeks" | "once";

const FORMS: [Form, string][] = [
  ["weekly", t`every week`],
  ["monthly", t`a weekday of each month`],
  ["every_weeks", t`every few weeks`],
  ["once", t`once`],
];
const NTHS: ["first" | "second" | "third" | "fourth" | "last", string][] = [
  ["first", t`first`],
  ["second", t`second`],
  ["third", t`third`],
  ["fourth", t`fourth`],
  ["last", t`last`],
];
const today = (): string => new Date().toISOString().slice(0, 10);

const formOf = (when: When): Form => FORMS.find(([form]) => (when[form] ?? null) !== null)?.[0] ?? "weekly";

function whenOf(form: Form): When {
  if (form === "monthly") return { monthly: { nth: "second", day: "tue" } };
  if (form === "every_weeks") return { every_weeks: { weeks: 2, days: ["tue"], since: today() } };
  return form === "once" ? { once: today() } : { weekly: ["tue"] };
}

export function WhenField({ value, onChange }: { value: When; onChange: (when: When) => void }): VNode {
  const { monthly, every_weeks: every, weekly, once } = value;
  return (
    <div class="stack">
      <SelectField label={t`When`} value={formOf(value)} onPick={(form) => onChange(whenOf(form as Form))} options={FORMS} />
      {weekly && <DaysField days={weekly} wrong={daysError(weekly)} onDays={(days) => onChange({ weekly: days })} />}
      {monthly && (
        <div class="number-fields">
          <SelectField
            label={t`Which one`}
            value={monthly.nth}
            onPick={(nth) => onChange({ monthly: { ...monthly, nth: nth as "first" } })}
            options={NTHS}
          />
          <SelectField
            label={t`Weekday`}
            value={monthly.day}
            onPick={(day) => onChange({ monthly: { ...monthly, day: day as Day } })}
            options={DAYS.map((day) => [day, DAY_WORDS[day]])}
          />
        </div>
      )}
      {every && (
        <>
          <DaysField days={every.days} wrong={daysError(every.days)} onDays={(days) => onChange({ every_weeks: { ...every, days } })} />
          <div class="number-fields">
            <TextField
              label={t`Every how many weeks`}
              type="number"
              value={String(every.weeks)}
              onText={(weeks) => onChange({ every_weeks: { ...every, weeks: Number(weeks) } })}
              wrong={rangeError("weeks", every.weeks)}
              late
              input={{ ...rangeOf("weeks"), required: true }}
            />
            <TextField
              label={t`Counted from`}
              type="date"
              value={every.since}
              onText={(since) => onChange({ every_weeks: { ...every, since } })}
              wrong={dateError(every.since)}
              late
              input={{ required: true }}
            />
          </div>
        </>
      )}
      {typeof once === "string" && (
        <TextField
          label={t`Date`}
          type="date"
          value={once}
          onText={(date) => onChange({ once: date })}
          wrong={dateError(once)}
          late
          input={{ required: true }}
        />
      )}
    </div>
  );
}

/** A zone, or each node's own. */
export function PatchZoneField({ value, onChange }: { value: string; onChange: (zone: string) => void }): VNode {
  const own = value === ZONE_OF_NODE;
  return (
    <div class="stack">
      <Check checked={own} onCheck={(on) => onChange(on ? ZONE_OF_NODE : ownZone())}>
        {t`In each server’s own time zone`}
      </Check>
      {!own && <ZoneField value={value} onText={onChange} />}
    </div>
  );
}
