import { duration, iso, t } from "../../core/text";
import { earlierText, stepTitle, workedStep } from "../../core/deployments/deploy-steps";
import { now } from "../../state/clock";
import type { DeploymentView, StepView } from "../../state/types";
import { Glyph, type GlyphKind } from "../../ui";

const KINDS: Record<StepView["state"], GlyphKind> = { waiting: "wait", running: "run", done: "done", failed: "fail", skipped: "wait" };

/** The steps of a deployment or removal, each with its duration. */
export function Steps({ deployment, last }: { deployment: DeploymentView; last: string }) {
  const done = deployment.state === "succeeded";
  return (
    <>
      {deployment.earlier && <p class="t2 earlier">{earlierText(deployment.earlier, deployment.kind)}</p>}
      <List deployment={deployment} last={last} done={done} />
    </>
  );
}

function List({ deployment, last, done }: { deployment: DeploymentView; last: string; done: boolean }) {
  return (
    <ol class="steps" aria-label={t`Steps`} aria-live="polite" tabIndex={0}>
      {deployment.steps.map((step) => (
        <li
          key={step.name}
          class={step.state === "running" ? "now" : step.state === "waiting" || step.state === "skipped" ? "waiting" : ""}
          aria-current={step.state === "running" ? "step" : undefined}
          data-step={step.name}
          data-state={step.state}
        >
          <Glyph kind={KINDS[step.state]} size="large" label={step.state} />
          <span class={step.state === "failed" ? "crit strong" : ""}>{stepTitle(step.name, deployment.kind)}</span>
          <Took step={step} state={deployment.state} />
          {step.detail && <span class="detail">{step.detail}</span>}
        </li>
      ))}
      <li class={done ? "" : "waiting"}>
        <Glyph kind={done ? "done" : "wait"} size="large" label={done ? t`done` : t`waiting`} />
        <span>{last}</span>
        <span />
      </li>
    </ol>
  );
}

function Took({ step, state }: { step: StepView; state: string }) {
  if (step.started_at === null) return <span />;
  const worked = workedStep(step, state, now.value);
  return <time dateTime={iso(step.started_at)}>{worked === null ? "" : duration(worked)}</time>;
}

/** The share of finished steps, for the progress bar. */
function progressOf(deployment: DeploymentView): number {
  if (deployment.state === "succeeded") return 100;
  const over = deployment.steps.filter((step) => step.state === "done" || step.state === "skipped").length;
  return Math.round((over / Math.max(1, deployment.steps.length + 1)) * 100);
}

export function ProgressBar({ deployment, label }: { deployment: DeploymentView; label: string }) {
  const share = progressOf(deployment);
  return (
    <div class="deploy-bar" role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={share}>
      <i style={{ width: `${share}%` }} />
    </div>
  );
}
