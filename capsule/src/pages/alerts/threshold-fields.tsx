/** The fields for the two levels of a rule. */

import { useState } from "preact/hooks";
import { fieldNumber, fieldScale, fieldText, type FieldScale } from "../../core/alerts/alert-values";
import type { RuleDraft, ThresholdDraft } from "../../core/alerts/rule-draft";
import { t } from "../../core/text";
import { TextField } from "../../ui";
import { Check } from "../../ui/form";

/** A field for a number that shows the typed text even while it is no number. `value` sets only the first text. */
export function NumberField({
  label,
  value,
  scale,
  onValue,
  hint,
}: {
  label: string;
  value: number | null;
  scale: FieldScale;
  onValue: (value: number | null) => void;
  hint?: string;
}) {
  const [typed, setTyped] = useState(value === null ? "" : fieldText(value, scale));
  return (
    <TextField
      label={scale.label ? `${label} (${scale.label})` : label}
      hint={hint}
      value={typed}
      wrong={fieldNumber(typed, scale) === null ? t`A number is needed.` : ""}
      onText={(text) => {
        setTyped(text);
        onValue(fieldNumber(text, scale));
      }}
      input={{ inputmode: "decimal", maxLength: 24 }}
      class="short-field"
    />
  );
}

const MINUTES: FieldScale = { factor: 60, label: t`min` };

export function ThresholdFields({
  draft,
  unit,
  onChange,
}: {
  draft: RuleDraft;
  unit: string;
  onChange: (part: Partial<RuleDraft>) => void;
}) {
  // All fields have the same unit, which does not change while the user types.
  const [scales] = useState(() => new Map<string, FieldScale>());
  if (!scales.has(unit)) scales.set(unit, fieldScale(unit, draft.warn?.trigger ?? draft.crit?.trigger ?? 0));
  const scale = scales.get(unit) ?? { factor: 1, label: unit };
  return (
    <div class="stack">
      <Level name={t`Warning`} value={draft.warn} scale={scale} onValue={(warn) => onChange({ warn })} otherwise={draft.crit} />
      <Level name={t`Critical`} value={draft.crit} scale={scale} onValue={(crit) => onChange({ crit })} otherwise={draft.warn} />
      {draft.warn && draft.warn.trigger === draft.crit?.trigger && (
        <p class="t3 meta">{t`Both start at the same value: it is critical at once and never a warning.`}</p>
      )}
      <div class="number-fields">
        <NumberField
          label={t`After it lasted`}
          value={draft.for_s}
          scale={MINUTES}
          onValue={(value) => value !== null && value >= 0 && onChange({ for_s: value })}
        />
        <NumberField
          label={t`Ends after`}
          value={draft.clear_s}
          scale={MINUTES}
          onValue={(value) => value !== null && value >= 0 && onChange({ clear_s: value })}
        />
      </div>
    </div>
  );
}

interface LevelProps {
  name: string;
  value: ThresholdDraft | null;
  scale: FieldScale;
  onValue: (value: ThresholdDraft | null) => void;
  /** The first numbers when the level is switched on. */
  otherwise: ThresholdDraft | null;
}

export function Level({ name, value, scale, onValue, otherwise }: LevelProps) {
  return (
    <div class="level-fields" role="group" aria-label={name}>
      <Check checked={value !== null} onCheck={(on) => onValue(on ? (otherwise ?? { trigger: 0, clear: 0 }) : null)}>
        {name}
      </Check>
      {value && (
        <div class="number-fields" key={scale.label}>
          <NumberField label={t`Starts at`} value={value.trigger} scale={scale} onValue={(trigger) => onValue({ ...value, trigger })} />
          <NumberField label={t`Ends at`} value={value.clear} scale={scale} onValue={(clear) => onValue({ ...value, clear })} />
        </div>
      )}
    </div>
  );
}
