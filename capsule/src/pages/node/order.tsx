import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { BEFORE, isPlanned, namesOf, START_WORDS, wantsPackages } from "../../core/orders";
import { t } from "../../core/say";
import { actionWord, jobEnded, phaseWord, stateWord } from "../../core/words";
import { JobDetail, newKey, submitJob } from "../../state/job";
import { planOf } from "../../state/plans";
import { ApiError, type JobBody, type JobView, type NodeView, type PlanView } from "../../state/types";
import { Button } from "../../ui/button";
import { ConfirmName } from "../../ui/confirm-name";
import { Dialog } from "../../ui/dialog";
import { TextField } from "../../ui/field";
import { Glyph } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import { Banner } from "../../ui/parts";
import { PlanTable } from "../job/plan-table";
import { SENT, useSending } from "../many/sending";

type Action = JobBody["action"];

export interface OrderProps {
  view: NodeView;
  action: Action;
  /** The node says what it would do first. */
  planned: boolean;
  onClose: () => void;
}

const RULES: readonly string[] = [t`Configuration files that were changed on the server stay as they are.`, t`Services may restart. The server itself is not restarted.`, t`The job goes on when this page, the link or Ground Control is away, and runs once.`];

/** From the wish to the plan, and from the plan to the job. */
export function OrderDialog({ view, action, planned, onClose }: OrderProps): VNode {
  const [names, setNames] = useState("");
  const [asked, setAsked] = useState<JobView | null>(null);
  const [plan, setPlan] = useState<PlanView | null>(null);
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const { sending, give } = useSending();
  const [typed, setTyped] = useState("");
  const planKey = useRef(newKey());
  const runKey = useRef(newKey());
  const naming = wantsPackages(action);
  const packages = naming ? namesOf(names) : [];
  const plans = planned && isPlanned(action);

  const attempt = async (act: () => Promise<void>): Promise<void> => {
    setBusy(true);
    setWrong("");
    try {
      await act();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(error.detail);
    } finally {
      setBusy(false);
    }
  };
  const askForPlan = (): Promise<void> =>
    attempt(async () => {
      if (!isPlanned(action)) return;
      setAsked(await submitJob(view.id, { action: "plan", for: action, ...(naming ? { packages } : {}) }, planKey.current));
    });
  const start = (): void => {
    if (sending) return;
    setWrong("");
    const body: JobBody = { action, ...(naming ? { packages } : {}), ...(plan ? { plan: plan.digest } : {}) };
    const key = runKey.current;
    void give({
      what: `${actionWord(action)}: ${view.name}`,
      send: async () => `/jobs/${(await submitJob(view.id, body, key)).id}`,
      taken: onClose,
      refused: setWrong,
    });
  };
  const again = (): void => {
    planKey.current = newKey();
    runKey.current = newKey();
    setAsked(null);
    setPlan(null);
    setWrong("");
  };

  useEffect(() => {
    if (plans && !naming && !asked && !wrong) void askForPlan();
  }, [asked]);
  useEffect(() => {
    if (!asked) return;
    const detail = new JobDetail(asked.id);
    const end = detail.view.subscribe((job) => {
      if (!job) return;
      if (job.plan_digest && (job.state === "succeeded" || !jobEnded(job.state))) {
        void planOf(job.id).then(setPlan, (error: unknown) => setWrong(error instanceof ApiError ? error.detail : String(error)));
      } else if (jobEnded(job.state)) setWrong(job.error?.message ?? t`The plan was not made: ${stateWord(job.state).toLowerCase()}.`);
      setAsked((before) => (before && before.id === job.id && (before.state !== job.state || before.phase !== job.phase || before.note !== job.note) ? job : before));
    });
    return () => {
      end();
      detail.close();
    };
  }, [asked?.id]);

  const empty = plan !== null && plan.steps.length === 0;
  const sure = action !== "reboot" || typed === view.name;
  const danger = action === "remove" || action === "autoremove" || action === "reboot";
  return (
    <Dialog title={`${actionWord(action)}: ${view.name}`} subtitle={view.address} icon="package" {...(plans ? { size: "wide" as const } : {})} onClose={onClose}>
      <div class="body">
        {wrong && (
          <Banner kind="crit" alert mark={<Glyph kind="fail" label="" />}>
            {wrong}
          </Banner>
        )}
        {naming && !asked && <TextField label={t`Packages`} hint={t`Exact names, with blanks between.`} value={names} onText={setNames} input={{ autofocus: true, spellcheck: false, autocapitalize: "off" }} />}
        {BEFORE[action] && <p class="t2">{BEFORE[action]}</p>}
        {action === "reboot" && <ConfirmName name={view.name} value={typed} onText={setTyped} />}
        {plans && asked && !plan && !wrong && (
          <p class="t2 row" role="status">
            <Glyph kind="run" label="" />
            {asked.phase ? t`The server is ${phaseWord(asked.phase, asked.action)}${asked.note ? `: ${asked.note}` : ""}…` : t`The server says what it would do…`}
          </p>
        )}
        {plan && <PlanTable plan={plan} />}
        {isPlanned(action) && !empty && (
          <ul class="rules">
            {RULES.map((rule) => (
              <li key={rule}>
                <Icon name="check" size="small" />
                {rule}
              </li>
            ))}
            {plan && (
              <li>
                <Icon name="check" size="small" />
                {t`Exactly this plan is run. If it has changed by then, nothing is done and the difference is shown.`}
              </li>
            )}
          </ul>
        )}
      </div>
      <footer>
        {(plan !== null || (wrong !== "" && asked !== null)) && (
          <Button icon="refresh-cw" disabled={sending} onClick={again}>
            {t`Plan again`}
          </Button>
        )}
        <span class="t3 aside" role="status">
          {sending && SENT}
        </span>
        <Button class="end" more={{ autofocus: !naming }} onClick={onClose}>
          {sending ? t`Close` : t`Cancel`}
        </Button>
        {plans && naming && !asked ? (
          <Button kind="primary" busy={busy} disabled={packages.length === 0} onClick={() => void askForPlan()}>
            {t`Show plan`}
          </Button>
        ) : (
          <Button kind={danger ? "destroy" : "primary"} busy={sending} disabled={busy || !sure || (plans && (!plan || !plan.complete || empty)) || (naming && packages.length === 0)} onClick={start}>
            {START_WORDS[action] ?? t`Start`}
          </Button>
        )}
      </footer>
    </Dialog>
  );
}
