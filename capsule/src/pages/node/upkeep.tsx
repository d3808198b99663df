import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { t } from "../../core/say";
import { actionWord } from "../../core/words";
import { show } from "../../state/dialogs";
import { newKey } from "../../state/job";
import { isAdmin } from "../../state/session";
import { toast } from "../../state/toasts";
import { ApiError, type NodeView } from "../../state/types";
import { renewKeys, updateAgent } from "../../state/upkeep";
import { Button } from "../../ui/button";
import { begin } from "../many/begin";
import { isUnheard, whyNot } from "../many/sending";

/** The agent's version and keys. */
export function Upkeep({ view }: { view: NodeView }): VNode {
  const [busy, setBusy] = useState(false);
  const watching = view.policy?.mode === "monitor";
  const run = async (act: () => Promise<void>): Promise<void> => {
    setBusy(true);
    try {
      await act();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code !== "auth.step_up_required") toast("fail", isUnheard(error) ? t`Update agent` : t`It was not ordered`, whyNot(error, false));
    } finally {
      setBusy(false);
    }
  };
  const update = async (): Promise<void> => {
    await updateAgent(view.id);
    toast("done", t`The update was ordered`, t`It waits for the jobs of this server. An agent that does not come back is replaced by the one before.`);
  };
  const rekey = async (): Promise<void> => {
    const key = newKey();
    await begin(`${actionWord("rekey")}: ${view.name}`, () => renewKeys(view.id, key));
  };
  return (
    <section class="card" aria-label={t`Agent`}>
      <h2>{t`Agent`}</h2>
      <p class="t2">
        {watching
          ? t`This server was set up for watching only: its agent takes no orders. Its owner changes that in its policy.conf, in /etc/stardust where Spider was installed; what is missing there for orders comes with deploying it again.`
          : t`Version ${view.agent_version || t`not known`}. New keys replace those that it has, and shut out whoever else holds them.`}
      </p>
      <div class="row wrap">
        <Button disabled={watching || busy} onClick={() => void run(update)}>
          {t`Update agent`}
        </Button>
        {isAdmin.value && (
          <Button disabled={watching || busy} onClick={() => void run(rekey)}>
            {t`Give new keys…`}
          </Button>
        )}
        {!view.simulated && (
          <Button disabled={busy} onClick={() => show({ kind: "redeploy", node: view.id })}>
            {t`Deploy again…`}
          </Button>
        )}
      </div>
    </section>
  );
}
