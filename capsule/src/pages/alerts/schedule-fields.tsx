/** Fields for times, days and zones, which the dialogs of maintenance windows and deadlines share. */

import { useId } from "preact/hooks";
import { DAYS, DAY_WORDS, timeError, zoneError, type Day } from "../../core/alerts/schedule-text";
import { t } from "../../core/text";
import { FieldNote, TextField } from "../../ui";
import { Check } from "../../ui/form";

export const ownZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

export function DaysField({ days, wrong = "", onDays }: { days: readonly Day[]; wrong?: string; onDays: (days: Day[]) => void }) {
  const id = useId();
  return (
    <div role="group" aria-label={t`Days`}>
      <p class="label">{t`Days`}</p>
      <div class="row wrap">
        {DAYS.map((day) => (
          <Check
            key={day}
            checked={days.includes(day)}
            onCheck={(on) => onDays(DAYS.filter((one) => (one === day ? on : days.includes(one))))}
          >
            {DAY_WORDS[day]}
          </Check>
        ))}
      </div>
      <FieldNote id={id} hint="" wrong={wrong} />
    </div>
  );
}

export const TimeField = ({ label, value, onText }: { label: string; value: string; onText: (text: string) => void }) => (
  <TextField label={label} type="time" value={value} onText={onText} wrong={timeError(value)} late input={{ required: true }} />
);

export const ZoneField = ({ value, onText }: { value: string; onText: (text: string) => void }) => (
  <TextField
    label={t`Time zone`}
    value={value}
    onText={onText}
    wrong={zoneError(value)}
    late
    code
    input={{ required: true, maxLength: 64, placeholder: t`such as Europe/Budapest` }}
  />
);
