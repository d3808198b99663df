/** Splits expressions of rules into parts for a form, and joins them again. `groundcontrol/alerts/expression.py` defines the syntax. */

export interface MetricWindow {
  reads: "avg" | "max" | "min" | "last" | "rate";
  metric: string;
  /** The value of the metric's label; empty: all values. */
  label: string;
  windowS: number;
}

/** The parts of an expression. A custom event has the name that is in its braces. */
export type ExpressionParts =
  | ({ kind: "metric" } & MetricWindow)
  | { kind: "state" | "event" | "detector"; name: string }
  | { kind: "other" };

const METRIC =
  /^\s*(avg|max|min|last|rate)\s*\(\s*([a-zA-Z0-9_.]+)\s*(?:\{\s*[a-z_]+\s*=\s*([^{}]+?)\s*\}\s*)?(?:,\s*(\d{1,6})\s*([smh])\s*)?\)\s*$/;
const NAMED = /^\s*(state|event|detector)\s*\(\s*([a-zA-Z0-9_.-]+)\s*(?:\{\s*name\s*=\s*([^{}]+?)\s*\}\s*)?(?:,[^)]*)?\)\s*$/;
const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

export function expressionParts(expr: string): ExpressionParts {
  const metric = METRIC.exec(expr);
  if (metric) {
    const [, reads, name = "", label = "", amount, unit = ""] = metric;
    return {
      kind: "metric",
      reads: reads as MetricWindow["reads"],
      metric: name,
      label,
      windowS: amount ? Number(amount) * (SECONDS[unit] ?? 0) : 0,
    };
  }
  const named = NAMED.exec(expr);
  return named ? { kind: named[1] as "state", name: named[3] ?? named[2] ?? "" } : { kind: "other" };
}

const windowText = (seconds: number): string =>
  seconds % 3600 === 0 ? `${seconds / 3600}h` : seconds % 60 === 0 ? `${seconds / 60}m` : `${seconds}s`;

/** The expression of a window. `labelName` is the name of the metric's label; empty: the metric has no label. */
export function metricExpression({ reads, metric, label, windowS }: MetricWindow, labelName: string): string {
  const filter = label && labelName ? `{${labelName}=${label}}` : "";
  const window = reads === "last" ? "" : `, ${windowText(windowS)}`;
  return `${reads}(${metric}${filter}${window})`;
}
