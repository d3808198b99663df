import { useState } from "preact/hooks";
import { listSome } from "../../core/jobs/batch";
import { removalMethod } from "../../core/deployments/removal";
import { plural, t } from "../../core/text";
import { removeNode } from "../../state/deployment";
import { closeDialog } from "../../state/dialogs";
import type { BulkResult } from "../../state/bulk";
import { pick } from "../../state/selection";
import { withStrictStepUp } from "../../state/step-up";
import { toast } from "../../state/toasts";
import type { NodeView } from "../../state/types";
import { Banner, Button, Glyph } from "../../ui";
import { Check, ConfirmName } from "../../ui/form";
import { Dialog } from "../../ui/dialog";
import { useNodes } from "./use-nodes";
import { BulkRunEnd, useBulkRun } from "./use-bulk-run";

const AT_ONCE = 2;

/** The fields of a node on which this dialog depends. */
const propsOf = ({ state, policy, credentials_kept: kept }: NodeView): readonly unknown[] => [state, policy, kept];

/** Says which nodes were removed, or are being removed. */
function removed(nodes: readonly NodeView[], force: boolean): string {
  if (!nodes.length) return t`No node was removed.`;
  const names = listSome(
    nodes.map(({ name }) => name),
    8,
  );
  if (force) return t`${plural(nodes.length, "node")} forgotten: ${names}. Nothing on the servers was touched.`;
  return t`${plural(nodes.length, "node")} being removed: ${names}. The removal continues in the background.`;
}

/** The dialog that removes several nodes. The user types their number. Nodes that could not be removed are listed. */
export function ForgetDialog({ nodes }: { nodes: readonly string[] }) {
  const there = useNodes(nodes, propsOf);
  /** The nodes of the removal that was started; null = not started. */
  const [begun, setBegun] = useState<readonly NodeView[] | null>(null);
  const views = begun ?? there;
  const [typed, setTyped] = useState("");
  const [force, setForce] = useState(false);
  const run = useBulkRun<NodeView>();
  const [outcome, setOutcome] = useState<BulkResult<NodeView> | null>(null);
  const asks = views.filter((view) => removalMethod(view) === "ask" && !view.simulated);
  const remove = async (): Promise<void> => {
    setBegun(views);
    const all = await run.start(views, AT_ONCE, ({ id }) =>
      withStrictStepUp(() => removeNode(id, {}, force), t`Enter your password to remove ${plural(views.length, "node")}.`),
    );
    const shown = run.isShown();
    if (all.done.length) {
      pick(
        all.done.map(({ id }) => id),
        false,
      );
      if (force) toast("done", t`${plural(all.done.length, "node")} forgotten`, t`Nothing on the servers was touched.`);
      else toast("run", t`Removing ${plural(all.done.length, "node")}`, t`The removal continues in the background.`);
    }
    if (!all.failed.length && !all.left.length) return shown ? closeDialog() : undefined;
    if (shown) setOutcome(all);
    else
      toast("fail", t`${plural(all.failed.length + all.left.length, "node")} not removed`, all.failed[0] ? all.failed[0].error.detail : "");
  };
  return (
    <Dialog
      title={t`Remove ${plural(views.length, "node")}`}
      subtitle={listSome(
        views.map(({ name }) => name),
        6,
      )}
      icon="trash-2"
      size="narrow"
      onClose={run.through === null ? closeDialog : run.stop}
    >
      <div class="body">
        {outcome ? (
          <>
            {outcome.failed.length > 0 && (
              <Banner kind="crit" alert mark={<Glyph kind="fail" label="" />}>
                <b>{t`${plural(outcome.failed.length, "node")} not removed:`}</b>{" "}
                <span class="plain">
                  {listSome(
                    outcome.failed.map(({ one }) => one.name),
                    8,
                  )}
                  . {outcome.failed[0] && outcome.failed[0].error.detail}
                </span>
              </Banner>
            )}
            {outcome.left.length > 0 && (
              <Banner mark={<Glyph kind="off" label="" />}>
                <b>{t`${plural(outcome.left.length, "node")} not started:`}</b>{" "}
                <span class="plain">{t`${listSome(
                  outcome.left.map(({ name }) => name),
                  8,
                )}. Nothing was changed on them.`}</span>
              </Banner>
            )}
            <p class="t2">{removed(outcome.done, force)}</p>
          </>
        ) : (
          <>
            <p class="t2">
              {force
                ? t`The nodes are only forgotten here; nothing on the servers is touched. Use this for servers that no longer exist.`
                : t`The agent is uninstalled from ${plural(views.length, "server")}: its service, files, user and keys.`}{" "}
              {t`Their history is deleted here. This cannot be undone.`}
            </p>
            {asks.length > 0 && !force && (
              <Banner mark={<Glyph kind="warn" label="" />}>
                <b>{t`${plural(asks.length, "node")} will be refused:`}</b>{" "}
                <span class="plain">{t`${listSome(
                  asks.map(({ name }) => name),
                  8,
                )}. No credentials are stored, and they are not connected or their own policy does not allow it. Remove each from its own page, with its credentials.`}</span>
              </Banner>
            )}
            <Check checked={force} onCheck={setForce}>
              {t`The servers are gone, only forget the nodes`}
            </Check>
            <ConfirmName name={String(views.length)} value={typed} onText={setTyped} />
          </>
        )}
      </div>
      <footer>
        <BulkRunEnd run={run} total={views.length} over={outcome !== null} focused onClose={closeDialog} />
        {!outcome && (
          <Button
            kind="destroy"
            icon="trash-2"
            busy={run.through !== null}
            disabled={!views.length || typed !== String(views.length)}
            onClick={() => void remove()}
          >
            {t`Remove ${plural(views.length, "node")}`}
          </Button>
        )}
      </footer>
    </Dialog>
  );
}
