/** The exceptions of a rule: other thresholds for servers with some tags, or the rule switched off. For each server the last matching exception applies. */

import { useState } from "preact/hooks";
import { fieldScale } from "../../core/alerts/alert-values";
import type { OverrideDraft, RuleDraft } from "../../core/alerts/rule-draft";
import { t } from "../../core/text";
import { Button } from "../../ui";
import { Check, TagsField } from "../../ui/form";
import { Level } from "./threshold-fields";

export function OverridesField({
  draft,
  unit,
  onChange,
}: {
  draft: RuleDraft;
  unit: string;
  onChange: (part: Partial<RuleDraft>) => void;
}) {
  const { overrides } = draft;
  // Fields keep unfinished text, so each exception needs a key that stays when another exception is removed.
  const [keys, setKeys] = useState<readonly number[]>(() => overrides.map((_, index) => index));
  const put = (at: number, part: Partial<OverrideDraft>): void =>
    onChange({ overrides: overrides.map((one, index) => (index === at ? { ...one, ...part } : one)) });
  return (
    <div class="stack">
      {overrides.map((one, at) => (
        <Override
          key={keys[at]}
          number={at + 1}
          one={one}
          draft={draft}
          unit={unit}
          onChange={(part) => put(at, part)}
          onRemove={() => {
            setKeys(keys.filter((_, index) => index !== at));
            onChange({ overrides: overrides.filter((_, index) => index !== at) });
          }}
        />
      ))}
      <div>
        <Button
          slim
          icon="plus"
          onClick={() => {
            setKeys([...keys, Math.max(-1, ...keys) + 1]);
            onChange({
              overrides: [
                ...overrides,
                { select: { all: false, tags: [], nodes: [] }, enabled: null, warn: draft.warn, crit: draft.crit, for_s: null },
              ],
            });
          }}
        >
          {t`Add an exception by tag`}
        </Button>
      </div>
    </div>
  );
}

interface Props {
  number: number;
  one: OverrideDraft;
  draft: RuleDraft;
  unit: string;
  onChange: (part: Partial<OverrideDraft>) => void;
  onRemove: () => void;
}

function Override({ number, one, draft, unit, onChange, onRemove }: Props) {
  const scale = fieldScale(unit, draft.warn?.trigger ?? draft.crit?.trigger ?? 0);
  return (
    <fieldset class="override stack">
      <legend class="label">{t`Exception ${number}`}</legend>
      <TagsField
        label={t`For servers with any of these tags`}
        tags={one.select.tags}
        onTags={(tags) => onChange({ select: { ...one.select, tags } })}
      />
      <Check checked={one.enabled === false} onCheck={(off) => onChange({ enabled: off ? false : null })}>
        {t`The rule is off for them`}
      </Check>
      {one.enabled !== false && (
        <>
          <Level name={t`Other warning`} value={one.warn} scale={scale} onValue={(warn) => onChange({ warn })} otherwise={draft.warn} />
          <Level name={t`Other critical`} value={one.crit} scale={scale} onValue={(crit) => onChange({ crit })} otherwise={draft.crit} />
        </>
      )}
      <div>
        <Button slim kind="quiet" class="danger" icon="trash-2" onClick={onRemove}>
          {t`Remove the exception`}
        </Button>
      </div>
    </fieldset>
  );
}
