/** The dialog that creates or changes a rule. Below the fields it says how often the rule would have fired in the last days. */

import { Fragment } from "preact";
import { useEffect, useState } from "preact/hooks";
import { expressionParts } from "../../core/alerts/expression";
import { bodyOf, draftFaults, draftOf, NEW_DRAFT, type RuleDraft } from "../../core/alerts/rule-draft";
import { ruleSentence } from "../../core/alerts/rule-text";
import { t } from "../../core/text";
import { addRule, editRule, loadMetrics, loadRules } from "../../state/alert-calls";
import { ApiError, type MetricView, type RuleView } from "../../state/types";
import { Segmented, TextField } from "../../ui";
import { MeetingNotice } from "../meeting";
import { NodesField } from "../nodes-field";
import { FormDialog } from "../form-dialog";
import { useMeeting } from "../use-meeting";
import { ExpressionField } from "./expression-field";
import { OverridesField } from "./overrides-field";
import { RulePreview } from "./rule-preview";
import { ThresholdFields } from "./threshold-fields";

/** The metrics that a rule can read; empty until they are loaded. The field for the metric accepts any name. */
function useMetrics(): readonly MetricView[] {
  const [metrics, setMetrics] = useState<readonly MetricView[]>([]);
  useEffect(() => {
    loadMetrics().then(setMetrics, (error: unknown) => {
      if (!(error instanceof ApiError)) throw error;
    });
  }, []);
  return metrics;
}

/** The unit of the draft's value: that of the stored rule if the expression is the same, otherwise that of the metric. */
function unitOf(draft: RuleDraft, metrics: readonly MetricView[], rule: RuleView | null): string {
  if (rule?.expr === draft.expr) return rule.unit;
  const parts = expressionParts(draft.expr);
  if (parts.kind !== "metric") return parts.kind === "event" ? "flag" : "";
  const unit = metrics.find(({ name }) => name === parts.metric)?.unit ?? "";
  return parts.reads === "rate" && unit ? `${unit}/s` : unit;
}

interface Props {
  rule?: RuleView;
  onClose: () => void;
}

export function RuleDialog({ rule: read, onClose }: Props) {
  const metrics = useMetrics();
  const edited = useMeeting<RuleView, RuleDraft>({
    read,
    empty: () => NEW_DRAFT,
    draftOf,
    reload: async ({ id }) => (await loadRules()).find((one) => one.id === id),
  });
  const { view: rule, draft, change, met } = edited;
  const unit = unitOf(draft, metrics, rule);
  const body = bodyOf(draft);
  const faults = draftFaults(draft);
  const valid = body !== null && !faults.length;
  const ready = valid && body.name !== "";
  const save = async (): Promise<boolean> =>
    body !== null && edited.save((stored) => (stored ? editRule(stored.id, { version: stored.version, ...body }) : addRule(body)));
  return (
    <FormDialog
      title={rule ? t`Edit ${rule.name}` : t`New rule`}
      icon="bell"
      submit={rule ? t`Save` : t`Add rule`}
      ready={ready}
      onSave={save}
      done={[rule ? t`${draft.name} was changed` : t`${draft.name} was added`]}
      onClose={onClose}
    >
      {met && <MeetingNotice met={met} onTake={edited.takeTheirs} />}
      <TextField
        label={t`Name`}
        value={draft.name}
        onText={(name) => change({ name })}
        input={{ maxLength: 100, required: true, autofocus: !rule }}
      />
      <Fragment key={edited.turn}>
        <ExpressionField expr={draft.expr} metrics={metrics} onExpr={(expr) => change({ expr })} />
        <div>
          <p class="label">{t`Alert when the value is`}</p>
          <Segmented
            label={t`Alert when the value is`}
            value={draft.when}
            onPick={(when) => change({ when })}
            options={[
              { key: "above", label: t`above` },
              { key: "below", label: t`below` },
            ]}
          />
        </div>
        <ThresholdFields draft={draft} unit={unit} onChange={change} />
        <NodesField label={t`Applies to`} value={draft.select} onChange={(select) => change({ select })} every={t`Every server`} />
        <OverridesField draft={draft} unit={unit} onChange={change} />
      </Fragment>
      {body && <p class="t2 anywhere rule-sentence">{ruleSentence({ ...body, unit })}</p>}
      {faults.length > 0 && <p class="wrong">{faults[0]}</p>}
      {valid && <RulePreview rule={body} />}
    </FormDialog>
  );
}
