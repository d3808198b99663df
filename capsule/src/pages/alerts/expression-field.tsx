/** The fields for the expression of a rule: a metric with its window, or the expression as text. */

import { useId, useState } from "preact/hooks";
import { expressionParts, metricExpression, type MetricWindow } from "../../core/alerts/expression";
import { t } from "../../core/text";
import type { MetricView } from "../../state/types";
import { Button, TextField } from "../../ui";
import { SelectField } from "../../ui/form";

const READS: readonly [string, string][] = [
  ["avg", t`Mean`],
  ["max", t`Highest`],
  ["min", t`Lowest`],
  ["last", t`Newest value`],
];
const RATE: readonly [string, string][] = [["rate", t`Rate (per second)`]];
const WINDOWS: readonly [string, string][] = [
  ["60", t`1 min`],
  ["300", t`5 min`],
  ["600", t`10 min`],
  ["1800", t`30 min`],
  ["3600", t`1 h`],
  ["21600", t`6 h`],
];
const DEFAULT_WINDOW_S = 600;

interface Props {
  expr: string;
  metrics: readonly MetricView[];
  onExpr: (expr: string) => void;
}

export function ExpressionField({ expr, metrics, onExpr }: Props) {
  const parts = expressionParts(expr);
  const [asText, setAsText] = useState(parts.kind !== "metric");
  if (asText || parts.kind !== "metric") {
    return (
      <div>
        <TextField
          label={t`Expression`}
          hint={t`Such as avg(cpu.total, 10m), state(unit_failed) or event(backup_failed).`}
          value={expr}
          onText={onExpr}
          code
          input={{ maxLength: 300, required: true }}
          class="mono-field"
        />
        {parts.kind === "metric" && (
          <Button slim kind="quiet" onClick={() => setAsText(false)}>
            {t`Choose a metric`}
          </Button>
        )}
      </div>
    );
  }
  return <MetricFields parts={parts} metrics={metrics} onExpr={onExpr} onText={() => setAsText(true)} />;
}

function MetricFields({
  parts,
  metrics,
  onExpr,
  onText,
}: {
  parts: MetricWindow;
  metrics: readonly MetricView[];
  onExpr: (expr: string) => void;
  onText: () => void;
}) {
  const id = useId();
  const metric = metrics.find(({ name }) => name === parts.metric);
  const [labelName = ""] = metric?.labels ?? [];
  const isCounter = metric?.kind === "counter";
  const change = (part: Partial<MetricWindow>): void => {
    const next = { ...parts, ...part };
    const other = metrics.find(({ name }) => name === next.metric);
    if (other?.kind === "counter") next.reads = "rate";
    else if (next.reads === "rate") next.reads = "avg";
    if (!next.windowS) next.windowS = DEFAULT_WINDOW_S;
    if (!other?.labels.length) next.label = "";
    onExpr(metricExpression(next, other?.labels[0] ?? labelName));
  };
  const windows = WINDOWS.some(([seconds]) => Number(seconds) === parts.windowS)
    ? WINDOWS
    : [...WINDOWS, [String(parts.windowS), t`${parts.windowS} s`] as [string, string]];
  return (
    <div class="stack">
      <div class="metric-fields">
        <div class="field">
          <label for={id}>{t`Value`}</label>
          <input
            id={id}
            class="input"
            list={`${id}-names`}
            value={parts.metric}
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => change({ metric: event.currentTarget.value.replace(/[^a-zA-Z0-9_.]/g, "") || "cpu.total" })}
          />
          <datalist id={`${id}-names`}>
            {metrics.map(({ name, unit }) => (
              <option key={name} value={name}>
                {unit}
              </option>
            ))}
          </datalist>
        </div>
        <SelectField
          label={t`Read as`}
          value={parts.reads}
          onPick={(reads) => change({ reads: reads as MetricWindow["reads"] })}
          options={[...(isCounter ? RATE : READS)]}
        />
        {parts.reads !== "last" && (
          <SelectField
            label={t`Over`}
            value={String(parts.windowS)}
            onPick={(seconds) => change({ windowS: Number(seconds) })}
            options={[...windows]}
          />
        )}
        {labelName && (
          <TextField
            label={t`Only ${labelName}`}
            value={parts.label}
            onText={(label) => change({ label })}
            code
            input={{ placeholder: t`all` }}
          />
        )}
      </div>
      <div>
        <Button slim kind="quiet" onClick={onText}>
          {t`Write it as text`}
        </Button>
      </div>
    </div>
  );
}
