import type { Signal } from "@preact/signals";
import { useEffect, useMemo, useState } from "preact/hooks";
import { nameError } from "../../core/nodes/node-name";
import { duration, t } from "../../core/text";
import { cancelDeployment, confirmHostKey, loadDeployment, retryDeployment, startDeployment } from "../../state/deployment";
import { openDeployment } from "../../state/deployments";
import { closeDialog, showDialog } from "../../state/dialogs";
import { nodeName, nodeSignal } from "../../state/fleet";
import { newIdempotencyKey } from "../../state/job-detail";
import { go, pageUrl } from "../../state/router";
import { mayAct } from "../../state/session";
import { toast } from "../../state/toasts";
import { ApiError, type DeploymentBody, type DeploymentView, type NodeView, type RetryBody } from "../../state/types";
import { Banner, Button, Form, Glyph, TextField } from "../../ui";
import { CopyButton } from "../../ui/copy";
import { Dialog, Foot } from "../../ui/dialog";
import { Check, SelectField, Switch, TagsField } from "../../ui/form";
import { DEPLOYMENTS, toastStarted, useSubmit } from "../jobs/submit/use-submit";
import { ActionError, useAction } from "../use-action";
import { DraftBanner } from "./draft-banner";
import { JumpFields, ServerFields, SignInFields, useFocusFirstError, ProxyField, UserField } from "./connection-fields";
import { commandDraft, listDraft, oneDraft, useDraft } from "./draft";
import { deploymentBody, formErrors, EMPTY_CONNECTION, afterRetry, type ConnectionForm, type FormErrors } from "./connection-form";
import { FailureBox, ViewerNote, SettingsButton, triesOf } from "./failure";
import { LastServer, Options } from "./form-options";
import { PolicyFields } from "./policy-fields";
import { Method, type MethodKey } from "./method";
import { BulkAdd } from "./bulk-add";
import { InviteCommand } from "./invite-command";
import { useDeployment } from "./use-deployment";
import { LoadingDialog } from "./loading-dialog";
import { ProgressBar, Steps } from "./steps";
import { isJumpHostKey, addressText } from "../../core/deployments/server-list";
import { dialogTitle, workedSeconds } from "../../core/deployments/deploy-steps";
import { POLICIES } from "../../core/jobs/job-labels";

/** The method that has a draft, or else SSH. */
const methodWithDraft = (): MethodKey =>
  !oneDraft.exists() && listDraft.exists() ? "many" : !oneDraft.exists() && commandDraft.exists() ? "command" : "ssh";

/** The dialog that adds servers: form, fingerprint, steps, result. `deployment`: shows this deployment instead of the form. */
export function AddNodeDialog({ deployment, method: first }: { deployment?: string; method?: MethodKey }) {
  const { typed: entries, type: setEntries, left: found, settle } = useDraft(deployment ? null : oneDraft, EMPTY_CONNECTION);
  const [left, setLeft] = useState(found);
  /** Grows when the user starts over, so that the form is new and has no errors. */
  const [round, setRound] = useState(0);
  const [running, setRunning, refetch] = useDeployment(deployment);
  const [editing, setEditing] = useState(false);
  const [method, setMethod] = useState<MethodKey>(() => first ?? methodWithDraft());
  const close = (): void => {
    const one = running?.peek();
    if (one?.state === "running")
      toast(
        "run",
        one.kind === "update" ? t`Updating the agent on ${one.name}` : t`Adding ${one.name || one.host}`,
        one.kind === "update" ? t`The update continues in the background.` : t`The installation continues in the background.`,
      );
    closeDialog();
  };
  const anew = (): void => setRound(round + 1);
  if (!running && deployment) return <LoadingDialog title={t`Deployment`} onRetry={refetch} />;
  if (!running && method === "many") return <BulkAdd key={round} onMethod={setMethod} onStartOver={anew} onClose={close} />;
  if (!running && method === "command") return <InviteCommand key={round} onMethod={setMethod} onStartOver={anew} onClose={close} />;
  if (!running || editing) {
    const again = running?.peek();
    return (
      <SshForm
        key={round}
        entries={entries}
        onChange={(part) => setEntries((before) => ({ ...before, ...part }))}
        onClose={close}
        onMethod={again ? null : setMethod}
        onStartOver={
          left && !again
            ? () => {
                oneDraft.drop();
                setLeft(false);
                setEntries(() => EMPTY_CONNECTION);
                anew();
              }
            : null
        }
        send={(body, key) => (again ? retryDeployment(again.id, body) : startDeployment(body, key))}
        onSent={(one) => {
          if (!again) settle();
          setRunning(one);
          setEditing(false);
        }}
        back={() => (again ? openDeployment(again) : showDialog({ kind: "add" }))}
      />
    );
  }
  const retry = async (body: RetryBody): Promise<void> => {
    setRunning(await retryDeployment(running.peek().id, body));
    setEntries((before) => (before.host ? afterRetry(before, body) : before)); // without a host nothing was typed in this dialog
  };
  return (
    <Running
      deployment={running.value}
      entries={entries}
      onEdit={entries.host ? () => setEditing(true) : null}
      onClose={close}
      onRetry={retry}
    />
  );
}

interface SshFormProps {
  entries: ConnectionForm;
  onChange: (part: Partial<ConnectionForm>) => void;
  onClose: () => void;
  /** Null = the method cannot be changed. */
  onMethod: ((key: MethodKey) => void) | null;
  /** Null = the form has no draft. */
  onStartOver: (() => void) | null;
  send: (body: DeploymentBody, key: string) => Promise<Signal<DeploymentView>>;
  onSent: (one: Signal<DeploymentView>) => void;
  /** Returns to the form. */
  back: () => void;
}

const FIELD_OF: Record<string, keyof FormErrors> = {
  host: "host",
  port: "port",
  username: "username",
  private_key: "key",
  passphrase: "passphrase",
  password: "password",
  sudo_password: "sudoPassword",
  name: "name",
  tags: "tags",
  certificate: "certificate",
  "jump.host": "jumpHost",
  "jump.port": "jumpPort",
  "jump.username": "jumpUser",
  "jump.private_key": "jumpSecret",
  "jump.password": "jumpSecret",
  "jump.passphrase": "jumpSecret",
};

function SshForm({ entries, onChange, onClose, onMethod, onStartOver, send, onSent, back }: SshFormProps) {
  const [wrong, setWrong] = useState<FormErrors>({});
  const [refusal, setRefusal] = useState("");
  /** The deployment that exists for this server already. */
  const [existing, setExisting] = useState<DeploymentView | undefined>();
  const { form, judged } = useFocusFirstError(wrong);
  const { sending, status, submit } = useSubmit();
  const body = deploymentBody(entries);
  // The same request, sent again after a lost answer, has the same key. A changed request has a new one.
  const key = useMemo(newIdempotencyKey, [JSON.stringify(body)]);
  const change = (part: Partial<ConnectionForm>): void => {
    onChange(part);
    setWrong((before) =>
      Object.fromEntries(Object.entries(before).filter(([name]) => !(name in part) && !("jump" in part && name.startsWith("jump")))),
    );
  };
  /** Loads a deployment that the page may not know: another user started it, or the answer to its start was lost. */
  const loadExisting = async (id: string): Promise<void> => {
    try {
      setExisting((await loadDeployment(id)).peek());
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the refusal already says that the deployment exists
    }
  };
  const connect = (): void => {
    const found = formErrors(entries);
    judged();
    setWrong(found);
    setRefusal("");
    setExisting(undefined);
    if (Object.keys(found).length || sending) return;
    const what = t`Deployment to ${body.host}`;
    void submit({
      what,
      send: () => send(body, key),
      taken: onSent,
      late: (one) => {
        oneDraft.drop(entries);
        toastStarted(what, () => openDeployment(one.peek()));
      },
      refused: (why, error) => {
        const field = FIELD_OF[String(error.facts["field"] ?? "")];
        const unseen = field === "password" && entries.by !== "password";
        if (field && !unseen) setWrong({ [field]: why });
        else setRefusal(why);
        const other = error.facts["deployment"];
        if (typeof other === "string") void loadExisting(other);
      },
      back: (unanswered) => (unanswered ? go(DEPLOYMENTS) : back()),
    });
  };
  return (
    <Dialog title={t`Add node`} subtitle={t`Stardust signs in over SSH and installs the agent.`} icon="server" onClose={onClose}>
      <Form formRef={form} noValidate onSubmit={connect}>
        <div class="deploy-form">
          {onMethod && <Method value="ssh" busy={sending} onPick={onMethod} />}
          {onStartOver && <DraftBanner onStartOver={onStartOver} />}
          {refusal && (
            <Banner
              kind="crit"
              alert
              mark={<Glyph kind="fail" label="" />}
              action={
                existing && (
                  <Button slim onClick={() => openDeployment(existing)}>
                    {t`Open`}
                  </Button>
                )
              }
            >
              {refusal}
            </Banner>
          )}
          {onMethod && <LastServer onChange={change} />}
          <ServerFields entries={entries} wrong={wrong} onChange={change} />
          <div class="halves">
            <UserField value={entries.username} wrong={wrong.username} onText={(username) => change({ username })} />
            <TextField
              label={t`Name in Stardust`}
              value={entries.name}
              onText={(name) => change({ name })}
              wrong={nameError(entries.name) || (wrong.name ?? "")}
              code
              input={{ placeholder: t`taken from the host name` }}
            />
          </div>
          <SignInFields entries={entries} wrong={wrong} onChange={change} />
          <p class="meta t3">
            {entries.keep
              ? t`These credentials are stored encrypted, for updates and removal. Options below can turn that off.`
              : t`These credentials are used for this deployment only, and not stored. Options below can change that.`}
          </p>
          <TagsField label={t`Tags`} tags={entries.tags} wrong={wrong.tags ?? ""} onTags={(tags) => change({ tags })} />
          <Options entries={entries} wrong={wrong}>
            <JumpFields
              jump={entries.jump}
              wrong={wrong}
              hint={t`For a server that can be reached only through another one, as with ssh -J.`}
              onJump={(jump) => change({ jump })}
            />
            <Switch
              label={t`Keep credentials`}
              hint={t`Stored encrypted in Ground Control, for updates and removal. Erased when the node is removed.`}
              checked={entries.keep}
              onCheck={(keep) => change({ keep })}
            />
            <div class="halves">
              <SelectField
                label={t`Policy on the server`}
                value={entries.policy}
                onPick={(policy) => change({ policy: policy as ConnectionForm["policy"] })}
                hint={
                  {
                    managed: t`Stardust may watch, check and upgrade.`,
                    readonly: t`Stardust may watch and check, never change.`,
                    monitor: t`Stardust may only watch.`,
                  }[entries.policy]
                }
                options={POLICIES}
              />
              <ProxyField value={entries.proxy} wrong={wrong.proxy} onText={(proxy) => change({ proxy })} />
            </div>
            <PolicyFields entries={entries} onChange={change} />
          </Options>
        </div>
        <Foot status={status || t`Next, you confirm the server’s fingerprint.`} sending={sending} onClose={onClose}>
          <Button kind="primary" type="submit" busy={sending}>
            {t`Connect`}
          </Button>
        </Foot>
      </Form>
    </Dialog>
  );
}

interface RunningProps {
  deployment: DeploymentView;
  entries: ConnectionForm;
  /** Null = nothing was typed here, for example because the page was reloaded. */
  onEdit: (() => void) | null;
  onClose: () => void;
  onRetry: (body: RetryBody) => Promise<void>;
}

function Running({ deployment, entries, onEdit, onClose, onRetry }: RunningProps) {
  const update = deployment.kind === "update";
  const where = update ? deployment.host : `${addressText(deployment)}${deployment.jump ? ` ${t`over ${deployment.jump.host}`}` : ""}`;
  // The node may have been removed since the deployment.
  const node = deployment.node_id && nodeName(deployment.node_id) !== undefined ? nodeSignal(deployment.node_id)?.value : undefined;
  const live = node?.state === "online";
  const title = dialogTitle(deployment, deployment.name || deployment.host, live);
  const cancelling = useCancel(deployment.id);
  if (deployment.state === "awaiting_host_key" && deployment.host_key)
    return (
      <HostKey key={`${addressText(deployment.host_key)} ${deployment.host_key.fingerprint}`} deployment={deployment} onClose={onClose} />
    );
  if (deployment.state === "failed" || deployment.state === "cancelled") {
    const worked = deployment.ended_at === null ? null : workedSeconds(deployment, deployment.ended_at);
    const took = worked === null ? "" : ` · ${t`stopped after ${duration(worked)}`}`;
    return (
      <Dialog key="failed" title={title} subtitle={where + took} icon="server" onClose={onClose}>
        <BatchLink deployment={deployment} />
        <FailureBox key={triesOf(deployment)} deployment={deployment} entries={entries} onRetry={update ? null : onRetry} />
        <Steps deployment={deployment} last={t`Done`} />
        <footer>
          {onEdit && mayAct.value && (
            <Button kind="quiet" onClick={onEdit}>
              {t`Edit connection`}
            </Button>
          )}
          <span class="t3 end aside">
            {update && node && mayAct.value
              ? t`To try the update again, go to the node’s settings.`
              : onEdit
                ? t`Your entries are kept until you close this.`
                : ""}
          </span>
          {update && <SettingsButton deployment={deployment} onClose={onClose} />}
          <Button onClick={onClose}>{t`Close`}</Button>
        </footer>
      </Dialog>
    );
  }
  const done = deployment.state === "succeeded";
  const open = (): void => {
    onClose();
    if (deployment.node_id) go(`/n/${deployment.node_id}`);
  };
  return (
    <Dialog key="running" title={title} subtitle={t`${where} · Major Tom`} icon="server" onClose={onClose}>
      <BatchLink deployment={deployment} />
      <ProgressBar deployment={deployment} label={t`Deployment`} />
      {!done && cancelling.refusal && (
        <div class="earlier">
          <ActionError text={cancelling.refusal} />
        </div>
      )}
      <Steps deployment={deployment} last={t`Done`} />
      <footer>
        <span class="t3 aside">{asideOf(deployment, entries, node?.state)}</span>
        {done ? (
          <>
            <Button class="end" onClick={onClose}>
              {t`Close`}
            </Button>
            {node && (
              <Button kind="primary" onClick={open}>
                {t`Open node`}
              </Button>
            )}
          </>
        ) : (
          <>
            {(!update || deployment.steps[0]?.state === "waiting") && <CancelButton {...cancelling} />}
            <Button class="end" onClick={onClose}>
              {t`Run in background`}
            </Button>
          </>
        )}
      </footer>
    </Dialog>
  );
}

function asideOf(deployment: DeploymentView, entries: ConnectionForm, node: NodeView["state"] | undefined): string {
  if (deployment.state === "succeeded")
    return node === "online"
      ? t`The agent is connected and sends data.`
      : node
        ? t`The node is not connected now.`
        : t`The node is not in the fleet now.`;
  if (!mayAct.value) return t`Your role can view deployments; only operators and admins can act on them.`;
  // For credentials that were typed elsewhere the page does not know whether they are stored.
  if (deployment.kind === "update" || !entries.host) return t`This continues when you close the dialog.`;
  return entries.keep
    ? t`Credentials are stored encrypted, for updates and removal.`
    : t`The key and passwords stay in memory, for this deployment only.`;
}

/** A link from a deployment to the page of its batch, where all failed deployments can be retried together. Null without a batch, and on that page. */
function BatchLink({ deployment }: { deployment: DeploymentView }) {
  const all = `/deployments/${deployment.batch_id}`;
  return deployment.batch_id && pageUrl.value.path !== all ? (
    <p class="earlier">
      <a class="accent" href={all} onClick={closeDialog}>
        {t`All servers in this request`}
      </a>
    </p>
  ) : null;
}

interface Cancelling {
  busy: boolean;
  refusal: string;
  cancel: () => void;
}

/** Cancels a deployment. The dialog shows a refusal, because it would cover a toast. */
function useCancel(id: string): Cancelling {
  const { busy, refusal, run } = useAction(t`It could not be cancelled`);
  return { busy, refusal, cancel: () => void run(() => cancelDeployment(id)) };
}

function CancelButton({ busy, cancel }: Cancelling) {
  return mayAct.value ? (
    <Button kind="danger" busy={busy} onClick={cancel}>
      {t`Cancel`}
    </Button>
  ) : null;
}

const KEY_FILES: Record<string, string> = {
  "ssh-ed25519": "ssh_host_ed25519_key.pub",
  "ssh-rsa": "ssh_host_rsa_key.pub",
  "rsa-sha2-256": "ssh_host_rsa_key.pub",
  "rsa-sha2-512": "ssh_host_rsa_key.pub",
};

function HostKey({ deployment, onClose }: { deployment: DeploymentView; onClose: () => void }) {
  const [match, setMatch] = useState(false);
  const [trusted, setTrusted] = useState(false);
  const [wrong, setWrong] = useState("");
  const { sending, submit } = useSubmit();
  const cancelling = useCancel(deployment.id);
  useEffect(() => setWrong(""), [deployment]); // an error is out of date once the deployment changes
  const { type, fingerprint } = deployment.host_key ?? { type: "", fingerprint: "" };
  const command = `ssh-keygen -lf /etc/ssh/${KEY_FILES[type] ?? (type.startsWith("ecdsa") ? "ssh_host_ecdsa_key.pub" : "ssh_host_ed25519_key.pub")}`;
  const trust = (): void => {
    const what = t`Host key of ${deployment.host}`;
    setWrong("");
    void submit({
      what,
      failed: t`${what}: not confirmed`,
      send: () => confirmHostKey(deployment.id, fingerprint),
      taken: () => setTrusted(true), // the button stays busy until the steps arrive
      late: () => {}, // a deployment in the background reports its end itself
      refused: setWrong,
      back: () => openDeployment(deployment),
    });
  };
  return (
    <Dialog
      key="hostkey"
      title={t`Is this the right server?`}
      subtitle={t`${deployment.host_key && isJumpHostKey(deployment) ? t`${addressText(deployment.host_key)} (jump host)` : addressText({ host: deployment.host, port: deployment.port })} · not confirmed yet`}
      icon="server"
      onClose={onClose}
    >
      <BatchLink deployment={deployment} />
      <div class="body">
        <ActionError text={wrong || cancelling.refusal} />
        <p class="t2">{t`This host key is not confirmed yet. Compare the fingerprint with the one the server shows, then continue.`}</p>
        <div class="fingerprint">
          <span class="label">{t`${type.replace(/^ssh-/, "").toUpperCase()} host key`}</span>
          <code aria-label={t`Fingerprint`}>{fingerprint}</code>
        </div>
        <div>
          <span class="label">{t`On the server, run`}</span>
          <div class="code">
            <code>{command}</code>
            <CopyButton text={() => command} />
          </div>
        </div>
        {mayAct.value ? (
          <Check checked={match} onCheck={setMatch}>
            {t`The fingerprints match`}
          </Check>
        ) : (
          <ViewerNote />
        )}
      </div>
      <footer>
        <CancelButton {...cancelling} />
        {mayAct.value ? (
          <Button kind="primary" class="end" busy={sending || trusted} disabled={!match} onClick={trust}>
            {t`Trust and deploy`}
          </Button>
        ) : (
          <Button class="end" onClick={onClose}>
            {t`Close`}
          </Button>
        )}
      </footer>
    </Dialog>
  );
}
