import type { VNode } from "preact";
import { keptBackLabel, planSummary } from "../../core/jobs/package-actions";
import { t } from "../../core/text/i18n";
import { decimalSize } from "../../core/text/units";
import type { PlanView } from "../../state/types";
import { GridHead } from "../../ui/grid-head";
import { Icon } from "../../ui/icon";

const MOST = 500;

/** All changes of a plan, removals first, and what it keeps back. */
export function PlanTable({ plan }: { plan: PlanView }): VNode {
  const steps = [...plan.steps].sort((a, b) => Number(Boolean(a.to)) - Number(Boolean(b.to)));
  return (
    <div class="stack">
      <p class="t2" role="status">
        {planSummary(plan)}
        {plan.reboot_why && plan.reboot !== "no" ? ` (${plan.reboot_why})` : ""}
        {plan.download_bytes === null ? "" : ` · ${t`${decimalSize(plan.download_bytes)} to download`}`}
        {plan.installed_bytes === null ? "" : ` · ${t`${decimalSize(Math.abs(plan.installed_bytes))} of disk ${plan.installed_bytes < 0 ? t`freed` : t`used`}`}`}
      </p>
      {steps.length > 0 && (
        <div class="grid-table changes" role="table" aria-label={t`Planned changes`} aria-rowcount={steps.length + 1}>
          <GridHead labels={[t`Package`, t`From`, t`To`]} />
          {steps.slice(0, MOST).map((step) => (
            <div role="row" key={step.package} title={step.repository}>
              <span role="rowheader" class="mono medium cut">
                {step.security === "yes" && <Icon name="shield" size="tiny" />} {step.package}
                {step.security === "yes" && <span class="hidden-text"> {t`for security`}</span>}
              </span>
              <span role="cell" class="mono t3 cut">
                {step.from || t`new`}
              </span>
              <span role="cell" class={`mono cut ${step.to ? "" : "crit"}`}>
                {step.to || t`removed`}
              </span>
            </div>
          ))}
        </div>
      )}
      {steps.length > MOST && <p class="t3">{t`${steps.length - MOST} more are not shown.`}</p>}
      {plan.kept.length > 0 && (
        <ul class="rules" aria-label={t`Kept back`}>
          {plan.kept.slice(0, MOST).map((kept) => (
            <li key={kept.package}>
              <Icon name="lock" size="small" />
              <span>
                <span class="mono">
                  {kept.package} {kept.version}
                </span>
                : {keptBackLabel(kept.reason)}
              </span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
