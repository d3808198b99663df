import { isUpgrade, keptBackLabel, planChips, type PlanChipKind } from "../../core/jobs/package-actions";
import { codedText } from "../../core/text/coded-text";
import { decimalSize, t } from "../../core/text";
import type { PlanView } from "../../state/types";
import { GridHead, Cell } from "../../ui/grid-head";
import { Icon, type IconName } from "../../ui";

const MOST = 500;

const CHIPS: Record<PlanChipKind, readonly [string, IconName | null]> = {
  change: ["", null],
  size: ["", null],
  removal: ["crit", "x"],
  security: ["warn", "shield"],
  reboot: ["warn", "rotate-cw"],
  kept: ["", "lock"],
};

export function PlanChips({ plan, small = false }: { plan: PlanView; small?: boolean }) {
  return (
    <ul class="row wrap chips">
      {planChips(small ? { ...plan, download_bytes: null } : plan).map(([kind, text]) => {
        const [colour, icon] = CHIPS[kind];
        return (
          <li key={text} class={`pill ${colour} ${small ? "small" : ""}`}>
            {icon && <Icon name={icon} size="tiny" />}
            {text}
          </li>
        );
      })}
    </ul>
  );
}

interface PlanTableProps {
  plan: PlanView;
  /** The packages that the user has left out. Without this, packages cannot be left out. */
  without?: ReadonlySet<string>;
  onWithout?: (name: string, out: boolean) => void;
}

/** The changes of a plan, removals first, and the packages that it keeps back. */
export function PlanTable({ plan, without, onWithout }: PlanTableProps) {
  const steps = [...plan.steps].sort((a, b) => Number(Boolean(a.to)) - Number(Boolean(b.to)));
  const { reboot, installed_bytes, restarts } = plan;
  const why = codedText(plan.reboot_why, plan.reboot_why_coded);
  const facts = [
    reboot === "yes" && why
      ? t`reboot: ${why}`
      : reboot === "unknown"
        ? why
          ? t`whether a reboot follows is not known: ${why}`
          : t`whether a reboot follows is not known`
        : "",
    installed_bytes === null ? "" : t`${decimalSize(Math.abs(installed_bytes))} of disk ${installed_bytes < 0 ? t`freed` : t`used`}`,
  ].filter(Boolean);
  return (
    <div class="stack">
      <div role="status">
        <PlanChips plan={plan} />
        {restarts.length > 0 && <p class="plan-facts">{t`Will probably restart: ${restarts.join(", ")}`}</p>}
        {facts.length > 0 && <p class="t3 meta plan-facts">{facts.join(" · ")}</p>}
      </div>
      {steps.length > 0 && (
        <div class="grid-table changes" role="table" aria-label={t`Planned changes`} aria-rowcount={steps.length + 1}>
          <GridHead labels={[t`Package`, t`From`, t`To`]} />
          {steps.slice(0, MOST).map((step) => (
            <div role="row" key={step.package} title={step.repository}>
              <Cell head class="mono medium cut">
                {without && onWithout && isUpgrade(step) && (
                  <input
                    type="checkbox"
                    class="tick"
                    aria-label={t`Include ${step.package}`}
                    checked={!without.has(step.package)}
                    onChange={(event) => onWithout(step.package, !event.currentTarget.checked)}
                  />
                )}
                {step.security === "yes" && (
                  <span class="warn">
                    <Icon name="shield" size="tiny" />
                  </span>
                )}{" "}
                {step.package}
                {step.security === "yes" && <span class="hidden-text"> {t`for security`}</span>}
              </Cell>
              <Cell class="mono t3 cut">{step.from || t`new`}</Cell>
              <Cell class={`mono cut ${step.to ? "" : "crit"}`}>{step.to || t`removed`}</Cell>
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
