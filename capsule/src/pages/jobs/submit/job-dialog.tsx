import { useEffect, useMemo, useState } from "preact/hooks";
import { isDangerous, policyRefusal } from "../../../core/jobs/batch";
import { canLeaveOut, isPlanned, remainingUpgrades, splitNames, wantsPackages } from "../../../core/jobs/package-actions";
import { codedText } from "../../../core/text/coded-text";
import { pluralWord, t } from "../../../core/text";
import { actionLabel, jobEnded, phaseLabel, stateLabel } from "../../../core/jobs/job-labels";
import { VERBS } from "../../../core/jobs/verbs.gen";
import { closeDialog } from "../../../state/dialogs";
import { nodeSignal } from "../../../state/fleet";
import { JobDetail, loadPlan, newIdempotencyKey, submitJob } from "../../../state/job-detail";
import { go } from "../../../state/router";
import { ApiError, type JobBody, type JobView, type NodeView, type PlanView } from "../../../state/types";
import { Banner, Button, Glyph, Icon, TextField } from "../../../ui";
import { Dialog } from "../../../ui/dialog";
import { ConfirmName } from "../../../ui/form";
import { PlanTable } from "../../job/plan-table";
import { RebootChoice } from "./reboot-choice";
import { startJob } from "./start-job";
import { useLostAnswer } from "./use-lost-answer";
import { isUnanswered, toastStarted, useSubmit, submitErrorText } from "./use-submit";

type Action = JobBody["action"];

export interface JobDialogProps {
  view: NodeView;
  action: Action;
  /** Whether the node makes a plan first. It is fixed when the dialog opens, so that a promised plan is never skipped. */
  planned: boolean;
  /** The packages that are named at first. */
  named?: readonly string[] | undefined;
  onClose: () => void;
}

const RULES: readonly string[] = [
  t`Configuration files that were changed on the server stay as they are.`,
  t`Services may restart.`,
  t`The job continues if this page, the connection or Ground Control goes away, and runs only once.`,
];

/** The maximum of package names in one job. */
const MOST_NAMED = 512;

/** An error, and the step that "Try again" repeats: request a plan, read the plan, request another plan, or start the job. */
interface DialogError {
  why: string;
  /** The code of the plan's error. */
  code?: string | undefined;
  again: "ask" | "read" | "anew" | "start";
}

/** The dialog that starts a job on one node. For some actions it shows the plan of the node first. */
export function JobDialog({ view, action, planned, named = [], onClose }: JobDialogProps) {
  const [names, setNames] = useState(() => named.join(" "));
  /** The job that makes the plan. */
  const [asked, setAsked] = useState<JobView | null>(null);
  const [made, setPlan] = useState<PlanView | null>(null);
  const [trouble, setTrouble] = useState<DialogError | null>(null);
  // A plan job that failed may have sent empty steps before it failed: they do not mean that there is nothing to do.
  const plan = trouble?.again === "anew" ? null : made;
  const [busy, setBusy] = useState(false);
  const [reading, setReading] = useState(0);
  const [round, setRound] = useState(0);
  const { sending, status, submit } = useSubmit();
  const { mark } = useLostAnswer(({ id }) => {
    onClose();
    go(`/jobs/${id}`);
  });
  const [typed, setTyped] = useState("");
  const [rebooting, setRebooting] = useState(false);
  const mayReboot = VERBS[action]?.upgrades === true && !policyRefusal(view.policy, "reboot");
  const naming = wantsPackages(action);
  /** The remaining packages if some were left out: they become an upgrade of named packages. */
  const [only, setOnly] = useState<string[] | null>(null);
  const [without, setWithout] = useState<ReadonlySet<string>>(new Set());
  const acted: Action = only ? "upgrade" : action;
  const packages = naming ? splitNames(names) : (only ?? []);
  // The same request, sent again after a lost answer, has the same key. A changed request has a new one.
  const planKey = useMemo(newIdempotencyKey, [packages.join(" "), round]);
  const runKey = useMemo(newIdempotencyKey, [packages.join(" "), round, rebooting]);
  const [plans] = useState(() => planned && isPlanned(action));
  const away = (nodeSignal(view.id)?.value ?? view).state !== "online";

  const requestPlan = async (): Promise<void> => {
    if (!isPlanned(acted) || busy) return;
    setBusy(true);
    setTrouble(null);
    try {
      setAsked(await submitJob(view.id, { action: "plan", for: acted, ...(naming || only ? { packages } : {}) }, planKey));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setTrouble({ why: submitErrorText(error), again: "ask" });
    } finally {
      setBusy(false);
    }
  };
  const start = (): void => {
    if (sending) return;
    setTrouble(null);
    const body: JobBody = {
      action: acted,
      ...(naming || only ? { packages } : {}),
      ...(plan ? { plan: plan.digest } : {}),
      ...(rebooting ? { reboot: true } : {}),
    };
    const what = `${actionLabel(acted)}: ${view.name}`;
    const markUnanswered = mark(acted, [view.id]);
    void submit({
      what,
      send: async () => `/jobs/${(await submitJob(view.id, body, runKey)).id}`,
      taken: (path) => {
        onClose();
        go(path);
      },
      late: (path) => toastStarted(what, () => go(path)),
      refused: (why, error) => {
        setTrouble(why ? { why, again: "start" } : null);
        if (isUnanswered(error)) markUnanswered();
      },
    });
  };
  const replan = (): void => {
    setRound(round + 1);
    setAsked(null);
    setPlan(null);
    setTrouble(null);
  };
  const repair = (): void => {
    onClose();
    const key = newIdempotencyKey();
    void startJob(`${actionLabel("repair")}: ${view.name}`, () => submitJob(view.id, { action: "repair" }, key));
  };
  const restrict = (names: string[] | null): void => {
    setOnly(names);
    setWithout(new Set());
    replan();
  };
  const leaveOut = (name: string, out: boolean): void => {
    const next = new Set(without);
    if (out) next.add(name);
    else next.delete(name);
    setWithout(next);
  };
  const refetch = (): void => {
    setTrouble(null);
    setReading(reading + 1);
  };

  useEffect(() => {
    if (plans && !naming) void requestPlan();
  }, [round]);
  useEffect(() => {
    if (!asked) return;
    const detail = new JobDetail(asked.id);
    let unmounted = false;
    const missed = (error: unknown): void => {
      if (!unmounted) setTrouble({ why: error instanceof ApiError ? error.detail : String(error), again: "read" });
    };
    const found = (one: PlanView): void => {
      if (unmounted) return;
      setPlan(one);
      setTrouble((before) => (before?.again === "read" ? null : before));
    };
    const ends = [
      detail.failure.subscribe((error) => error && missed(error)),
      detail.view.subscribe((job) => {
        if (!job) return;
        if (job.plan_digest && (job.state === "succeeded" || !jobEnded(job.state))) void loadPlan(job.id).then(found, missed);
        else if (jobEnded(job.state))
          setTrouble({
            why: job.error?.message ?? t`The plan was not made: ${stateLabel(job.state).toLowerCase()}.`,
            code: job.error?.code,
            again: "anew",
          });
        setAsked((before) =>
          before && before.id === job.id && (before.state !== job.state || before.phase !== job.phase || before.note !== job.note)
            ? job
            : before,
        );
      }),
    ];
    return () => {
      unmounted = true;
      for (const end of ends) end();
      detail.close();
    };
  }, [asked?.id, reading]);

  const remaining = plan ? remainingUpgrades(plan.steps, without) : [];
  const empty = plan !== null && plan.steps.length === 0;
  const sure = action !== "reboot" || typed === view.name;
  const ready = sure && !(plans && (!plan || !plan.complete || empty)) && !(naming && packages.length === 0);
  const again = { ask: () => void requestPlan(), read: refetch, anew: replan, start };
  const { start: label = t`Start`, before } = VERBS[action] ?? {};
  return (
    <Dialog
      title={`${actionLabel(action)}: ${view.name}`}
      subtitle={view.address}
      icon="package"
      {...(plans ? { size: "wide" as const } : {})}
      onClose={onClose}
    >
      <div class="body">
        {trouble && (
          <Banner
            kind="crit"
            alert
            mark={<Glyph kind="fail" label="" />}
            action={
              <Button slim icon="rotate-cw" disabled={trouble.again === "start" && !ready} onClick={again[trouble.again]}>
                {t`Try again`}
              </Button>
            }
          >
            {trouble.why}
          </Banner>
        )}
        {away && (
          <Banner
            mark={<Glyph kind="stale" label="" />}
          >{t`The node is not connected. A job waits a few minutes for it to come back, then expires.`}</Banner>
        )}
        {naming && !asked && (
          <TextField
            label={t`Packages`}
            hint={t`Exact names, separated by spaces.`}
            value={names}
            onText={setNames}
            code
            input={{ autofocus: true, readOnly: busy }}
          />
        )}
        {before && <p class="t2">{before}</p>}
        {action === "reboot" && <ConfirmName name={view.name} value={typed} onText={setTyped} />}
        {plans && (asked || busy) && !plan && !trouble && (
          <p class="t2 row" role="status">
            <Glyph kind="run" label="" />
            {asked?.phase
              ? t`The server is ${phaseLabel(asked.phase, asked.action)}${asked.note ? `: ${codedText(asked.note, asked.note_coded)}` : ""}…`
              : t`Asking the server what it would do…`}
          </p>
        )}
        {only && (
          <p class="row wrap t2">
            {t`Only ${only.length} ${pluralWord(only.length, "package")}, and what ${pluralWord(only.length, "it needs", "they need")}.`}
            <Button slim kind="quiet" disabled={sending || busy} onClick={() => restrict(null)}>
              {t`All packages`}
            </Button>
          </p>
        )}
        {plan && (
          <PlanTable
            plan={plan}
            {...(canLeaveOut(action, plan) && !sending && !policyRefusal(view.policy, "upgrade") ? { without, onWithout: leaveOut } : {})}
          />
        )}
        {mayReboot && !empty && (!plans || plan) && (
          <RebootChoice rebooting={rebooting} expected={plan?.reboot === "yes"} onPick={setRebooting} />
        )}
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
                {t`Exactly this plan is carried out. If it has changed by then, nothing is done and the difference is shown.`}
              </li>
            )}
          </ul>
        )}
      </div>
      <footer>
        {(plan !== null || trouble?.again === "read") && (
          <Button icon="refresh-cw" disabled={sending} onClick={replan}>
            {t`Plan again`}
          </Button>
        )}
        <span class="t3 aside" role="status">
          {status}
        </span>
        <Button class="end" more={{ autofocus: !naming }} onClick={onClose}>
          {sending ? t`Close` : t`Cancel`}
        </Button>
        {trouble?.code === "job.packages_broken" && !policyRefusal(view.policy, "repair") ? (
          <Button kind="primary" onClick={repair}>
            {t`Repair packages`}
          </Button>
        ) : plan && without.size > 0 ? (
          <Button kind="primary" disabled={remaining.length === 0 || remaining.length > MOST_NAMED} onClick={() => restrict(remaining)}>
            {t`Preview without ${without.size} ${pluralWord(without.size, "package")}`}
          </Button>
        ) : plans && naming && !asked ? (
          <Button kind="primary" busy={busy} disabled={packages.length === 0} onClick={() => void requestPlan()}>
            {t`Preview`}
          </Button>
        ) : (
          <Button kind={isDangerous(action) ? "destroy" : "primary"} busy={sending} disabled={busy || !ready} onClick={start}>
            {label}
          </Button>
        )}
      </footer>
    </Dialog>
  );
}

/** The job dialog of one node, opened from any page. */
export function NodeJobDialog({
  node,
  action,
  packages,
}: {
  node: string;
  action: JobBody["action"];
  packages?: readonly string[] | undefined;
}) {
  const view = nodeSignal(node)?.peek();
  if (!view) return null;
  return <JobDialog view={view} action={action} planned={!policyRefusal(view.policy, "plan")} named={packages} onClose={closeDialog} />;
}
