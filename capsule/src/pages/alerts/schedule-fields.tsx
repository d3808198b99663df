/** Fields for times, days and zones, which the dialogs of maintenance windows and deadlines share. */

import { DAYS, DAY_WORDS, type Day } from "../../core/alerts/schedule-text";
import { t } from "../../core/text";
import { TextField } from "../../ui";
import { Check } from "../../ui/form";

export const ownZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

export function DaysField({ days, onDays }: { days: readonly Day[]; onDays: (days: Day[]) => void }) {
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
    </div>
  );
}

export const TimeField = ({ label, value, onText }: { label: string; value: string; onText: (text: string) => void }) => (
  <TextField label={label} type="time" value={value} onText={onText} input={{ required: true }} />
);

export const ZoneField = ({ value, onText }: { value: string; onText: (text: string) => void }) => (
  <TextField
    label={t`Time zone`}
    value={value}
    onText={onText}
    code
    input={{ required: true, maxLength: 64, placeholder: t`such as Europe/Budapest` }}
  />
);
