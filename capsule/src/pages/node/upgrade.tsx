import { useState } from "preact/hooks";
import { policyRefusal } from "../../core/jobs/batch";
import { JOB_VERBS } from "../../core/jobs/package-actions";
import { VERBS, type Verb } from "../../core/jobs/verbs.gen";
import { pluralWord, t, timeOrDate } from "../../core/text";
import { actionLabel } from "../../core/jobs/job-labels";
import { dayStart } from "../../state/clock";
import { showDialog } from "../../state/dialogs";
import { newIdempotencyKey, submitJob } from "../../state/job-detail";
import { mayAct } from "../../state/session";
import type { JobBody, NodeView } from "../../state/types";
import { Button, Icon, type IconName, lazy, MenuButton, type MenuItem } from "../../ui";
import { followCheck } from "../jobs/submit/follow-check";
import { startJob } from "../jobs/submit/start-job";
import type { ConfirmActionProps } from "./action-help";
import type { JobDialogProps } from "../jobs/submit/job-dialog";

const JobDialog = lazy<JobDialogProps>(t`the dialog`, async () => (await import("../jobs/submit/job-dialog")).JobDialog);

const ConfirmAction = lazy<ConfirmActionProps>(t`the dialog`, async () => (await import("./action-help")).ConfirmAction);

type Action = JobBody["action"];
const CHECKS: ReadonlySet<Action> = new Set(["refresh", "check"]);

const ICONS: Partial<Record<string, IconName>> = {
  check: "search",
  refresh: "refresh-cw",
  "security-upgrade": "shield",
  install: "plus",
  remove: "x",
  autoremove: "x",
  hold: "lock",
  unhold: "lock",
  clean: "rows-3",
  repair: "circle-alert",
  reboot: "rotate-cw",
};
export const verbIcon = (action: string): IconName => ICONS[action] ?? "package";

/** Why the action cannot start on a node; without `action`, why no job can. Empty = it can start. */
export function refusal(view: NodeView, action?: Action): string {
  const why = policyRefusal(view.policy, action);
  if (why) return why;
  if (view.state !== "online") return t`The node is not connected: a job can start when it is back.`;
  return "";
}

/** Starts an action that changes no installed package, without a dialog. A check for updates ends with a toast, any other opens its job. */
export function startAction({ id, name }: NodeView, action: Action): Promise<void> {
  const key = newIdempotencyKey();
  return startJob(
    `${actionLabel(action)}: ${name}`,
    () => submitJob(id, { action }, key),
    false,
    CHECKS.has(action) ? (job) => followCheck(job, name) : undefined,
  );
}

/** The button of one action; nothing if the action cannot start on this node. */
export function VerbButton({ view, verb }: { view: NodeView; verb: string }) {
  const [openDialog, setOpenDialog] = useState(false);
  const known = VERBS[verb];
  const action = verb as Action;
  if (!known || refusal(view, action)) return null;
  const label = known.menu ?? actionLabel(action);
  return (
    <>
      <Button slim icon={verbIcon(action)} onClick={() => (known.readonly ? void startAction(view, action) : setOpenDialog(true))}>
        {known.readonly ? label : t`${label}…`}
      </Button>
      {openDialog && (
        <JobDialog view={view} action={action} planned={!policyRefusal(view.policy, "plan")} onClose={() => setOpenDialog(false)} />
      )}
    </>
  );
}

/** The verbs of the menu “Server actions”. */
const SERVER_VERBS: ReadonlySet<string> = new Set(["reboot", "hold", "unhold", "repair"]);

/** The button that opens the plan of an upgrade, and the menus of all other actions. */
export function NodeActions({ view }: { view: NodeView }) {
  const [openDialog, setOpenDialog] = useState<Action | null>(null);
  const [named, setNamed] = useState<string | null>(null);
  const { total, security, checked_at } = view.updates;
  const all = refusal(view);
  const hints: Partial<Record<string, string>> = {
    [refusal(view, "refresh") ? "check" : "refresh"]: checked_at
      ? t`last checked ${timeOrDate(checked_at, dayStart.value)}`
      : t`not checked yet`,
    upgrade: total === null ? t`available updates not known` : t`${total} ${pluralWord(total, "update")}`,
    "security-upgrade": security ? t`${security} for security` : t`only what is for security`,
  };
  // A refresh also counts updates. A check of the known lists is offered only if the policy refuses a refresh.
  const hidden: Action = refusal(view, "refresh") ? "refresh" : "check";
  const items = (belongs: (verb: Verb, name: string) => boolean | undefined): MenuItem[] =>
    JOB_VERBS.filter(([name, verb]) => belongs(verb, name) && name !== hidden && !refusal(view, name as Action)).map(
      ([name, { menu = actionLabel(name), hint = "", readonly }]) => {
        const action = name as Action;
        return {
          label: readonly ? menu : t`${menu}…`,
          hint: hints[name] ?? hint,
          icon: verbIcon(name),
          run: readonly ? () => void startAction(view, action) : () => setOpenDialog(action),
        };
      },
    );
  const split = !refusal(view, "upgrade");
  const groups = all
    ? []
    : [
        items(({ upgrades }, name) => upgrades && !(split && name === "upgrade")),
        items(({ readonly }) => readonly),
        items(({ planned, upgrades }) => planned && !upgrades),
        items(({ planned, readonly }, name) => !planned && !readonly && !SERVER_VERBS.has(name)),
      ];
  const server = all ? [] : items((_, name) => SERVER_VERBS.has(name));
  const owners: MenuItem[] =
    all || refusal(view, "action-run")
      ? []
      : (view.policy?.actions ?? []).map((name) => ({ label: t`Run ${name}…`, icon: verbIcon("action-run"), run: () => setNamed(name) }));
  const maintenance: MenuItem = {
    label: t`Maintenance…`,
    hint: t`alerts are shown and not sent`,
    icon: "wrench",
    run: () => showDialog({ kind: "maintenance", nodes: [view.id] }),
  };
  const words = total ? t`Upgrade ${total}` : t`Upgrade`;
  const label = security ? t`${words} ${security} for security` : words;
  const face = (
    <>
      <Icon name="package" size="small" />
      <span>{words} </span>
      {security ? (
        <span class="pill warn small">
          <Icon name="shield" size="tiny" />
          {security}
          <span class="hidden-text"> {t`for security`}</span>
        </span>
      ) : null}
    </>
  );
  const arrow = <Icon name="chevron-down" size="small" />;
  return (
    <>
      {split ? (
        <div class="split">
          <button type="button" class="button" aria-label={t`${label}…`} onClick={() => setOpenDialog("upgrade")}>
            {face}
          </button>
          <MenuButton label={t`More package actions`} class="only-icon" groups={groups}>
            {arrow}
          </MenuButton>
        </div>
      ) : (
        <MenuButton label={label} note={all} groups={groups}>
          {face}
          {arrow}
        </MenuButton>
      )}
      {mayAct.value && (
        <MenuButton label={t`Server actions`} class="only-icon" groups={[server, owners, [maintenance]].filter((group) => group.length)}>
          <Icon name="ellipsis" />
        </MenuButton>
      )}
      {named !== null && <ConfirmAction view={view} name={named} onClose={() => setNamed(null)} />}
      {openDialog && (
        <JobDialog view={view} action={openDialog} planned={!policyRefusal(view.policy, "plan")} onClose={() => setOpenDialog(null)} />
      )}
    </>
  );
}
