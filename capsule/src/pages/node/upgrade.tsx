import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { policyRefusal } from "../../core/jobs/batch";
import { pluralWord, t } from "../../core/text/i18n";
import { timeOrDate } from "../../core/text/time";
import { actionLabel } from "../../core/jobs/job-labels";
import { newIdempotencyKey, submitJob } from "../../state/job-detail";
import { dayStart } from "../../state/day-start";
import type { JobBody, NodeView } from "../../state/types";
import { Icon } from "../../ui/icon";
import { MenuButton, type MenuItem } from "../../ui/menu";
import { lazy } from "../../ui/lazy";
import { startJob } from "../jobs/submit/start-job";
import type { JobDialogProps } from "../jobs/submit/job-dialog";

const JobDialog = lazy<JobDialogProps>(t`the dialog`, async () => (await import("../jobs/submit/job-dialog")).JobDialog);

type Action = JobBody["action"];

/** Why nothing can be started here; empty = it can. */
export function refusal(view: NodeView, action?: Action): string {
  const why = policyRefusal(view.policy, action);
  if (why) return why;
  if (view.state !== "online") return t`The node is not connected: a job can start when it is back.`;
  return "";
}

/** What changes nothing that is installed is not asked about: it starts, and its output is shown. */
export function start({ id, name }: NodeView, action: Action): Promise<void> {
  const key = newIdempotencyKey();
  return startJob(`${actionLabel(action)}: ${name}`, () => submitJob(id, { action }, key));
}

export function UpgradeMenu({ view }: { view: NodeView }): VNode {
  const [asked, setAsked] = useState<Action | null>(null);
  const { total, security, checked_at } = view.updates;
  const all = refusal(view);
  const item = (action: Action, label: string, hint: string, icon: MenuItem["icon"], run: () => void): MenuItem[] => {
    const why = refusal(view, action);
    return why ? [] : [{ label, hint, ...(icon ? { icon } : {}), run }];
  };
  const words = total ? t`Upgrade ${total}` : t`Upgrade`;
  const ask = (action: Action, label: string, hint: string, icon?: MenuItem["icon"]): MenuItem[] => item(action, label, hint, icon, () => setAsked(action));
  return (
    <>
      <MenuButton
        label={security ? t`${words} ${security} for security` : words}
        note={all}
        groups={
          all
            ? []
            : [
                [
                  ...item("check", t`Check for updates`, checked_at ? t`last checked ${timeOrDate(checked_at, dayStart.value)}` : t`not checked yet`, "search", () => void start(view, "check")),
                  ...item("refresh", t`Refresh package lists`, t`reads the repositories again`, "refresh-cw", () => void start(view, "refresh")),
                ],
                [
                  ...ask("upgrade", t`Upgrade packages…`, total === null ? t`available updates not known` : t`${total} ${pluralWord(total, "update")}`, "package"),
                  ...ask("security-upgrade", t`Security upgrade…`, security ? t`${security} for security` : t`only what is for security`, "shield"),
                  ...ask("full-upgrade", t`Full upgrade…`, t`may also remove packages`, "package"),
                ],
                [...ask("install", t`Install…`, t`packages by name`, "plus"), ...ask("remove", t`Remove…`, t`packages by name`, "x"), ...ask("autoremove", t`Remove unneeded packages…`, "", "x")],
                [...ask("hold", t`Hold…`, t`keep packages as they are`, "lock"), ...ask("unhold", t`Release…`, t`upgrade them again`, "lock"), ...ask("clean", t`Clean up…`, t`downloaded files`, "rows-3"), ...ask("repair", t`Repair…`, t`interrupted package work`, "circle-alert"), ...ask("reboot", t`Reboot…`, "", "rotate-cw")],
              ]
        }
      >
        <Icon name="package" size="small" />
        <span>{words} </span>
        {security ? (
          <span class="pill warn small">
            <Icon name="shield" size="tiny" />
            {security}
            <span class="hidden-text"> {t`for security`}</span>
          </span>
        ) : null}
        <Icon name="chevron-down" size="small" />
      </MenuButton>
      {asked && <JobDialog view={view} action={asked} planned={!policyRefusal(view.policy, "plan")} onClose={() => setAsked(null)} />}
    </>
  );
}
