import type { Signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { REMOVAL_TEXTS, removalSince, removalMethod, removalVerified, credentialsReason } from "../../core/deployments/removal";
import { age, duration, t } from "../../core/text";
import { workedSeconds } from "../../core/deployments/deploy-steps";
import { hubNow, now } from "../../state/clock";
import { historyUrl, removeNode, retryDeployment } from "../../state/deployment";
import { deploymentEnded, followDeployment, openDeployment, deploymentStates } from "../../state/deployments";
import { closeDialog, showDialog } from "../../state/dialogs";
import { nodeSignal } from "../../state/fleet";
import { findDeployments } from "../../state/queries";
import { go, pageUrl } from "../../state/router";
import { toast } from "../../state/toasts";
import { ApiError, type DeploymentView, type NodeView, type RetryBody } from "../../state/types";
import { Button } from "../../ui";
import { Dialog, Foot } from "../../ui/dialog";
import { Check, ConfirmName } from "../../ui/form";
import { ActionError } from "../use-action";
import { JumpSignInAgain, ServerFields, SignInFields, UserField } from "../add/connection-fields";
import {
  askedJump,
  credentialsBody,
  formErrors,
  EMPTY_CONNECTION,
  knownHostForm,
  missingCredentialsReason,
  type ConnectionForm,
  type FormErrors,
} from "../add/connection-form";
import { FailureBox, SettingsButton, triesOf } from "../add/failure";
import { useDeployment } from "../add/use-deployment";
import { LoadingDialog } from "../add/loading-dialog";
import { ProgressBar, Steps } from "../add/steps";
import { DEPLOYMENTS, isUnanswered, toastStarted, useSubmit } from "../jobs/submit/use-submit";

/** The dialog that removes a node: the user types its name, then follows the steps. `deployment`: shows this removal. */
export function RemoveNodeDialog({ node: id, deployment }: { node: string; deployment?: string }) {
  const [view] = useState<NodeView | undefined>(() => nodeSignal(id)?.peek());
  const [running, setRunning, refetch] = useDeployment(deployment);
  const name = view?.name ?? running?.peek().name ?? t`the node`;
  const close = (): void => {
    closeDialog();
    const one = running?.peek();
    if (one && !deploymentEnded(one)) toast("run", t`Removing ${name}`, t`The removal continues in the background.`);
    if (one?.state === "succeeded" && pageUrl.peek().path.startsWith(`/n/${id}`)) go("/");
  };
  if (running)
    return (
      <Running
        deployment={running.value}
        name={name}
        onClose={close}
        onRetry={async (body) => setRunning(await retryDeployment(running.peek().id, body))}
      />
    );
  if (deployment) return <LoadingDialog title={t`Removal`} onRetry={refetch} />;
  if (!view) return null;
  return <Ask view={view} onClose={close} onStarted={setRunning} />;
}

function Ask({ view, onClose, onStarted }: { view: NodeView; onClose: () => void; onStarted: (one: Signal<DeploymentView>) => void }) {
  const [typed, setTyped] = useState("");
  const [force, setForce] = useState(false);
  const method = removalMethod(view);
  const [needs, setNeeds] = useState(method === "ask" && !view.simulated);
  const [entries, setEntries] = useState<ConnectionForm>(() => knownHostForm(view.address));
  const [wrong, setWrong] = useState<FormErrors>({});
  const [refusal, setRefusal] = useState("");
  /** When the removal was sent that got no answer; null = none. */
  const [unansweredAt, setUnansweredAt] = useState<number | null>(null);
  const { sending, status, submit } = useSubmit();
  const deploymentsNow = deploymentStates.value;
  // Looks for the removal now, and whenever a deployment changes: the hub may have started it, or even finished it.
  useEffect(() => {
    if (unansweredAt === null || sending) return;
    let left = false;
    findDeployments().then(
      ({ deployments }) => {
        const found = removalSince(deployments, view.id, unansweredAt);
        if (found && !left) onStarted(followDeployment(found));
      },
      (error: unknown) => {
        if (!(error instanceof ApiError)) throw error; // when the hub is back, deployments change, and this runs again
      },
    );
    return () => void (left = true);
  }, [unansweredAt, sending, deploymentsNow]);
  const matches = typed === view.name;
  const change = (part: Partial<ConnectionForm>): void => setEntries((before) => ({ ...before, ...part }));
  const remove = (): void => {
    if (!matches || sending) return;
    const asks = needs && !force;
    const found = asks ? formErrors(entries, true) : {};
    setWrong(found);
    if (Object.keys(found).length) return;
    setRefusal("");
    const what = t`Remove ${view.name}`;
    const sentAt = hubNow();
    void submit({
      what,
      strict: true,
      send: () => removeNode(view.id, asks ? credentialsBody(entries) : {}, force),
      taken: onStarted,
      late: (one) => {
        if (one.peek().state === "succeeded")
          toast("done", t`${view.name} is forgotten`); // a node that is only forgotten is removed immediately
        else toastStarted(what, () => openDeployment(one.peek()));
      },
      refused: (why, error) => {
        const asked = error.code === "credentials_required";
        const jump = askedJump(error.facts);
        if (jump) change({ jump });
        if (asked || jump) setNeeds(true);
        if (isUnanswered(error)) setUnansweredAt((held) => held ?? sentAt);
        setRefusal(asked ? missingCredentialsReason(error.facts) : why);
      },
      back: (unanswered) => (unanswered ? go(DEPLOYMENTS) : showDialog({ kind: "remove", node: view.id })),
    });
  };
  return (
    <Dialog title={t`Remove ${view.name}`} subtitle={view.address} size={needs && !force ? "" : "narrow"} onClose={onClose}>
      <form noValidate onSubmit={(event) => event.preventDefault()}>
        <div class={needs && !force ? "deploy-form" : "body"}>
          <ActionError text={refusal} />
          <p class="t2">
            {force
              ? t`The node is only forgotten here; nothing on the server is touched. Use this for a server that no longer exists.`
              : REMOVAL_TEXTS[needs ? "ask" : method]}{" "}
            {t`Its history of ${age(now.value - view.created_at)} is deleted here. This cannot be undone.`}
          </p>
          <p>
            <a class="accent" href={historyUrl(view.id)} download>
              {t`Download its history first (one value per minute)`}
            </a>
          </p>
          {needs && !force && (
            <>
              <p class="t2">
                {method === "ask" ? credentialsReason(view) : ""} {t`Enter them again; they are used only for the removal.`}
              </p>
              <ServerFields entries={entries} wrong={wrong} known onChange={change} />
              <UserField value={entries.username} wrong={wrong.username} onText={(username) => change({ username })} />
              <SignInFields entries={entries} wrong={wrong} onChange={change} />
              {entries.jump && <JumpSignInAgain jump={entries.jump} wrong={wrong} onJump={(jump) => change({ jump })} />}
            </>
          )}
          {(view.state !== "online" || needs) && (
            <Check checked={force} onCheck={setForce}>
              {t`The server is gone, only forget the node`}
            </Check>
          )}
          <ConfirmName name={view.name} value={typed} onText={setTyped} />
        </div>
        <Foot status={status} sending={sending} focused onClose={onClose}>
          <Button kind="destroy" icon="trash-2" busy={sending} disabled={!matches} onClick={remove}>
            {t`Remove node`}
          </Button>
        </Foot>
      </form>
    </Dialog>
  );
}

function Running({
  deployment,
  name,
  onClose,
  onRetry,
}: {
  deployment: DeploymentView;
  name: string;
  onClose: () => void;
  onRetry: (body: RetryBody) => Promise<void>;
}) {
  const worked = deployment.ended_at === null ? null : workedSeconds(deployment, deployment.ended_at);
  const ended = worked === null ? "" : ` · ${duration(worked)}`;
  const failed = deployment.state === "failed" || deployment.state === "cancelled";
  const done = deployment.state === "succeeded";
  const forgotten = done && !removalVerified(deployment.steps);
  return (
    <Dialog
      key={deployment.state}
      title={
        failed ? t`Could not remove ${name}` : forgotten ? t`${name} is forgotten` : done ? t`${name} was removed` : t`Removing ${name}`
      }
      subtitle={`${deployment.host}${ended}`}
      icon="trash-2"
      onClose={onClose}
    >
      {failed ? (
        <FailureBox key={triesOf(deployment)} deployment={deployment} entries={EMPTY_CONNECTION} confirm={name} onRetry={onRetry} />
      ) : (
        <ProgressBar deployment={deployment} label={t`Removal`} />
      )}
      <Steps deployment={deployment} last={forgotten ? t`Forgotten` : t`Removed`} />
      <footer>
        <span class="t3 aside">
          {forgotten
            ? t`The server was not contacted: what Stardust put on it stays there.`
            : done
              ? t`Nothing of Stardust is left on the server.`
              : failed
                ? ""
                : t`This continues when you close the dialog.`}
        </span>
        {failed && <SettingsButton deployment={deployment} onClose={onClose} />}
        <Button class="end" kind={done ? "primary" : ""} onClick={onClose}>
          {done ? t`Done` : failed ? t`Close` : t`Run in background`}
        </Button>
      </footer>
    </Dialog>
  );
}
