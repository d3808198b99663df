import type { VNode } from "preact";
import { useRef, useState } from "preact/hooks";
import { moment } from "../../core/time";
import { hubNow } from "../../state/clock";
import { newKey, submitJob } from "../../state/jobs";
import { go } from "../../state/router";
import { ApiError, type JobBody, type NodeView } from "../../state/types";
import { toast } from "../../state/toasts";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { Glyph } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import { MenuButton, type MenuItem } from "../../ui/menu";
import { Banner } from "../../ui/parts";

type Action = JobBody["action"];

/** Why nothing can be started here; empty = it can. */
function refusal(view: NodeView, action?: Action): string {
  const { policy } = view;
  if (policy && policy.mode === "monitor") return "This server’s own policy (mode = monitor in /etc/stardust/policy.conf) allows watching only. Its administrator can change that on the server.";
  if (policy && action && policy.verbs.length > 0 && !policy.verbs.some((verb) => verb === action || verb === `package.${action}` || verb === "*")) return `This server’s own policy does not allow “${action}”.`;
  if (view.state !== "online") return "The node is not connected: a job can start when it is back.";
  return "";
}

export function UpgradeMenu({ view }: { view: NodeView }): VNode {
  const [asked, setAsked] = useState<"upgrade" | "full-upgrade" | null>(null);
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
                  ...item("upgrade", "Upgrade packages…", total === null ? "what is known there is not known here" : total === 1 ? "1 update" : `${total} updates`, "package", () => setAsked("upgrade")),
                  ...item("full-upgrade", "Full upgrade…", "may also remove packages", "package", () => setAsked("full-upgrade")),
                ],
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
      {asked && <ConfirmUpgrade view={view} action={asked} onClose={() => setAsked(null)} />}
    </>
  );
}

function ConfirmUpgrade({ view, action, onClose }: { view: NodeView; action: "upgrade" | "full-upgrade"; onClose: () => void }): VNode {
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState("");
  const key = useRef(newKey());
  const { total, security, checked_at } = view.updates;
  const full = action === "full-upgrade";
  const start = async (): Promise<void> => {
    setBusy(true);
    setWrong("");
    try {
      const job = await submitJob(view.id, { action }, key.current);
      onClose();
      go(`/jobs/${job.id}`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(error.detail);
      setBusy(false);
    }
  };
  return (
    <Dialog title={full ? `Full upgrade of ${view.name}` : `Upgrade ${view.name}`} subtitle={view.address} icon="package" onClose={onClose}>
      <div class="body">
        {wrong && (
          <Banner kind="crit" alert mark={<Glyph kind="fail" label="" />}>
            {wrong}
          </Banner>
        )}
        <p class="t2">
          {total === null ? "All packages with a newer version are upgraded." : total === 0 ? "As far as the last check knows, nothing is to be upgraded." : `${total} ${total === 1 ? "package is" : "packages are"} upgraded${security ? `, ${security} of them for security` : ""}.`}{" "}
          {checked_at ? `Last checked ${moment(checked_at, hubNow())}.` : ""}
        </p>
        <ul class="rules">
          <li>
            <Icon name="check" size="small" />
            Configuration files that were changed on the server stay as they are.
          </li>
          <li>
            <Icon name={full ? "circle-alert" : "check"} size="small" />
            {full ? "Packages may be removed and new ones installed where the upgrade needs it." : "No package is removed."}
          </li>
          <li>
            <Icon name="check" size="small" />
            Services may restart. The server itself is not restarted.
          </li>
          <li>
            <Icon name="check" size="small" />
            The job goes on when this page, the link or Ground Control is away, and runs once.
          </li>
        </ul>
      </div>
      <footer>
        <Button class="end" more={{ autofocus: true }} onClick={onClose}>
          Cancel
        </Button>
        <Button kind="primary" busy={busy} onClick={() => void start()}>
          {full ? "Start full upgrade" : "Start upgrade"}
        </Button>
      </footer>
    </Dialog>
  );
}
