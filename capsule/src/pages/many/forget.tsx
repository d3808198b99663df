import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { someOf } from "../../core/batch";
import { refusalText } from "../../core/forbidden";
import { removalWay } from "../../core/removal";
import { t } from "../../core/say";
import { plural } from "../../core/units";
import { removeNode } from "../../state/deployment";
import { hide } from "../../state/dialogs";
import type { Outcome } from "../../state/each";
import { pick } from "../../state/selection";
import { withStepUp } from "../../state/stepup";
import { toast } from "../../state/toasts";
import type { NodeView } from "../../state/types";
import { Button } from "../../ui/button";
import { Check } from "../../ui/form";
import { ConfirmName } from "../../ui/confirm-name";
import { Dialog } from "../../ui/dialog";
import { Glyph } from "../../ui/glyph";
import { Banner } from "../../ui/parts";
import { useNodes } from "./nodes";
import { RunEnd, useRun } from "./run";

const AT_ONCE = 2;

/** What this dialog goes by. */
const factsOf = ({ state, policy, credentials_kept: kept }: NodeView): readonly unknown[] => [state, policy, kept];

/** Removes several nodes: the number typed, and who could not be removed named with the reason. */
export function ForgetDialog({ nodes }: { nodes: readonly string[] }): VNode {
  const there = useNodes(nodes, factsOf);
  /** For whom it was begun. */
  const [begun, setBegun] = useState<readonly NodeView[] | null>(null);
  const views = begun ?? there;
  const [typed, setTyped] = useState("");
  const [force, setForce] = useState(false);
  const run = useRun<NodeView>();
  const [outcome, setOutcome] = useState<Outcome<NodeView> | null>(null);
  const asks = views.filter((view) => removalWay(view) === "ask" && !view.simulated);
  const remove = async (): Promise<void> => {
    setBegun(views);
    const all = await run.start(views, AT_ONCE, ({ id }) => withStepUp(() => removeNode(id, {}, force)));
    const here = run.here();
    if (all.done.length) {
      pick(all.done.map(({ id }) => id), false);
      toast("run", t`Removing ${plural(all.done.length, "node")}`, t`It continues in the background.`);
    }
    if (!all.failed.length && !all.left.length) return here ? hide() : undefined;
    if (here) setOutcome(all);
    else toast("fail", t`${plural(all.failed.length + all.left.length, "node")} not removed`, all.failed[0] ? refusalText(all.failed[0].error) : "");
  };
  return (
    <Dialog title={t`Remove ${plural(views.length, "node")}`} subtitle={someOf(views.map(({ name }) => name), 6)} icon="trash-2" size="narrow" onClose={run.through === null ? hide : run.stop}>
      <div class="body">
        {outcome ? (
          <>
            {outcome.failed.length > 0 && (
              <Banner kind="crit" alert mark={<Glyph kind="fail" label="" />}>
                <b>{t`${plural(outcome.failed.length, "node")} not removed:`}</b>{" "}
                <span class="plain">
                  {someOf(outcome.failed.map(({ one }) => one.name), 8)}. {outcome.failed[0] && refusalText(outcome.failed[0].error)}
                </span>
              </Banner>
            )}
            {outcome.left.length > 0 && (
              <Banner mark={<Glyph kind="off" label="" />}>
                <b>{t`${plural(outcome.left.length, "node")} not started:`}</b> <span class="plain">{t`${someOf(outcome.left.map(({ name }) => name), 8)}. Nothing was changed on them.`}</span>
              </Banner>
            )}
            <p class="t2">{outcome.done.length ? t`${plural(outcome.done.length, "node")} being removed: ${someOf(outcome.done.map(({ name }) => name), 8)}. This continues in the background.` : t`No node was removed.`}</p>
          </>
        ) : (
          <>
            <p class="t2">
              {force ? t`The nodes are only forgotten here; nothing on the servers is touched. Use this for servers that no longer exist.` : t`Spider is uninstalled from ${plural(views.length, "server")}: its service, files, user and keys.`} {t`Their history is deleted here. This cannot be undone.`}
            </p>
            {asks.length > 0 && !force && (
              <Banner mark={<Glyph kind="warn" label="" />}>
                <b>{t`${plural(asks.length, "node")} will be refused:`}</b> <span class="plain">{t`${someOf(asks.map(({ name }) => name), 8)}. No credentials are stored, and they are not connected or their own policy does not allow it. Remove each from its own page, with its credentials.`}</span>
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
        <RunEnd run={run} total={views.length} over={outcome !== null} focused onClose={hide} />
        {!outcome && (
          <Button kind="destroy" icon="trash-2" busy={run.through !== null} disabled={!views.length || typed !== String(views.length)} onClick={() => void remove()}>
            {t`Remove ${plural(views.length, "node")}`}
          </Button>
        )}
      </footer>
    </Dialog>
  );
}
