import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { policyRefusal } from "../../core/batch";
import { moment } from "../../core/time";
import { hubNow } from "../../state/clock";
import { newKey, submitJob } from "../../state/job";
import { go } from "../../state/router";
import { ApiError, type JobBody, type NodeView } from "../../state/types";
import { toast } from "../../state/toasts";
import { Icon } from "../../ui/icon";
import { MenuButton, type MenuItem } from "../../ui/menu";
import { lazy } from "../../ui/lazy";
import type { OrderProps } from "./order";

const OrderDialog = lazy<OrderProps>("the order", async () => (await import("../orders")).OrderDialog);

type Action = JobBody["action"];

/** Why nothing can be started here; empty = it can. */
function refusal(view: NodeView, action?: Action): string {
  const why = policyRefusal(view.policy, action);
  if (why) return why;
  if (view.state !== "online") return "The node is not connected: a job can start when it is back.";
  return "";
}

export function UpgradeMenu({ view }: { view: NodeView }): VNode {
  const [asked, setAsked] = useState<Action | null>(null);
  const { total, security, checked_at } = view.updates;
  const all = refusal(view);
  const start = async (action: Action): Promise<void> => {
    try {
      const job = await submitJob(view.id, { action }, newKey());
      go(`/jobs/${job.id}`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      toast("fail", `${view.name}: the job was not started`, error.detail, { label: "Retry", run: () => void start(action) });
    }
  };
  const item = (action: Action, label: string, hint: string, icon: MenuItem["icon"], run: () => void): MenuItem[] => {
    const why = refusal(view, action);
    return why ? [] : [{ label, hint, ...(icon ? { icon } : {}), run }];
  };
  const ask = (action: Action, label: string, hint: string, icon?: MenuItem["icon"]): MenuItem[] => item(action, label, hint, icon, () => setAsked(action));
  return (
    <>
      <MenuButton
        label={`Upgrade${total ? ` ${total}` : ""}${security ? ` ${security} for security` : ""}`}
        note={all}
        groups={
          all
            ? []
            : [
                [
                  ...item("check", "Check for updates", checked_at ? `last checked ${moment(checked_at, hubNow())}` : "not checked yet", "search", () => void start("check")),
                  ...item("refresh", "Refresh package lists", "reads the repositories anew", "refresh-cw", () => void start("refresh")),
                ],
                [
                  ...ask("upgrade", "Upgrade packages…", total === null ? "what is known there is not known here" : total === 1 ? "1 update" : `${total} updates`, "package"),
                  ...ask("security-upgrade", "Security upgrade…", security ? `${security} for security` : "only what is for security", "shield"),
                  ...ask("full-upgrade", "Full upgrade…", "may also remove packages", "package"),
                ],
                [...ask("install", "Install…", "packages by name", "plus"), ...ask("remove", "Remove…", "packages by name", "x"), ...ask("autoremove", "Remove what nothing needs…", "", "x")],
                [...ask("hold", "Hold…", "keep packages as they are", "lock"), ...ask("unhold", "Release…", "upgrade them again", "lock"), ...ask("clean", "Clean up…", "downloaded files", "rows-3"), ...ask("repair", "Repair…", "work that was cut off", "circle-alert"), ...ask("reboot", "Reboot…", "", "rotate-cw")],
              ]
        }
      >
        <Icon name="package" size="small" />
        <span>Upgrade{total ? ` ${total}` : ""} </span>
        {security ? (
          <span class="pill warn small">
            <Icon name="shield" size="tiny" />
            {security}
            <span class="hidden-text"> for security</span>
          </span>
        ) : null}
        <Icon name="chevron-down" size="small" />
      </MenuButton>
      {asked && <OrderDialog view={view} action={asked} planned={!refusal(view, "plan")} onClose={() => setAsked(null)} />}
    </>
  );
}
