import { useState } from "preact/hooks";
import { policyRefusal } from "../../core/jobs/batch";
import { t } from "../../core/text";
import { actionLabel } from "../../core/jobs/job-labels";
import { showDialog } from "../../state/dialogs";
import { newIdempotencyKey } from "../../state/job-detail";
import { isAdmin } from "../../state/session";
import { toast } from "../../state/toasts";
import { ApiError, type NodeView } from "../../state/types";
import { renewKeys, updateAgent } from "../../state/selfcare";
import { Button } from "../../ui";
import { startJob } from "../jobs/submit/start-job";
import { isUnanswered, submitErrorText } from "../jobs/submit/use-submit";

/** The agent's version and keys. */
export function AgentSettings({ view }: { view: NodeView }) {
  const [busy, setBusy] = useState(false);
  const watching = view.policy?.mode === "monitor";
  const keysRefused = policyRefusal(view.policy, "rekey");
  const run = async (act: () => Promise<void>): Promise<void> => {
    setBusy(true);
    try {
      await act();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code !== "auth.step_up_required")
        toast("fail", isUnanswered(error) ? t`Update agent` : t`It was not started`, submitErrorText(error, false));
    } finally {
      setBusy(false);
    }
  };
  const update = async (): Promise<void> => {
    await updateAgent(view.id);
    toast(
      "done",
      t`The update was requested`,
      t`It waits for this server’s jobs to end. If the new agent does not connect, the previous one is restored.`,
    );
  };
  const rekey = async (): Promise<void> => {
    const key = newIdempotencyKey();
    await startJob(`${actionLabel("rekey")}: ${view.name}`, () => renewKeys(view.id, key));
  };
  return (
    <section class="card" aria-label={t`Agent`}>
      <h2>{t`Agent`}</h2>
      <p class="t2">
        {watching
          ? t`This server was set up for monitoring only: its agent runs no jobs. Its owner can change that in policy.conf, in /etc/stardust where the agent was installed; deploying it again adds what jobs need.`
          : t`Version ${view.agent_version || t`not known`}.`}
        {!watching && view.agent === "outdated" && <> {t`This hub ships another version, which an update installs.`}</>}
        {!watching && isAdmin.value && <> {t`Replacing its keys locks out anyone else who has the current ones.`}</>}
      </p>
      <div class="row wrap">
        <Button acts disabled={watching || busy} onClick={() => void run(update)}>
          {t`Update agent`}
        </Button>
        {isAdmin.value && (
          <Button acts disabled={keysRefused !== "" || busy} more={{ title: keysRefused || undefined }} onClick={() => void run(rekey)}>
            {t`Replace keys…`}
          </Button>
        )}
        {!view.simulated && (
          <Button disabled={busy} onClick={() => showDialog({ kind: "redeploy", node: view.id })}>
            {t`Deploy again…`}
          </Button>
        )}
      </div>
    </section>
  );
}
