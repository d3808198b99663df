import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "../../core/say";
import { cancelDeployment, confirmHostKey, retryDeployment, startDeployment } from "../../state/deployment";
import { hide } from "../../state/dialogs";
import { nodeName, nodeSignal } from "../../state/fleet";
import { go, place } from "../../state/router";
import { mayAct } from "../../state/session";
import { toast } from "../../state/toasts";
import { ApiError, type DeploymentView, type NodeView, type RetryBody } from "../../state/types";
import { Button } from "../../ui/button";
import { CopyButton } from "../../ui/copy";
import { Dialog } from "../../ui/dialog";
import { TextField } from "../../ui/field";
import { Check, SelectField, Switch, TagsField } from "../../ui/form";
import { Glyph } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import { Banner } from "../../ui/parts";
import { JumpFields, ServerFields, SignInFields } from "./connection";
import { draft, dropDraft, keepDraft } from "./draft";
import { bodyOf, faults, NO_ENTRIES, tried, type Entries, type Wrong } from "./entries";
import { FailureBox, LookOnly, ToSettings } from "./failure";
import { Method, type MethodKey } from "./method";
import { Many } from "./many";
import { OneLine } from "./one-line";
import { useOpened } from "./opened";
import { Opening } from "./opening";
import { Bar, Steps } from "./steps";
import { ofJump, placeText } from "../../core/servers";
import { dialogTitle } from "../../core/steps";
import { duration } from "../../core/time";
import { POLICIES } from "../../core/words";

/** Form, fingerprint, steps, end: one dialog. `deployment` = one that runs already. */
export function AddNodeDialog({ deployment, method: first = "ssh" }: { deployment?: string; method?: MethodKey }): VNode | null {
  const [entries, setEntries] = useState<Entries>(() => (deployment ? NO_ENTRIES : draft()));
  const [left, setLeft] = useState(!deployment && draft() !== NO_ENTRIES);
  const [running, setRunning, readAgain] = useOpened(deployment);
  const [editing, setEditing] = useState(false);
  const [method, setMethod] = useState<MethodKey>(first);
  const close = (): void => {
    if (!running) keepDraft(entries);
    setEntries(NO_ENTRIES);
    const one = running?.peek();
    if (one?.state === "running") toast("run", one.kind === "update" ? t`Updating Spider on ${one.name}` : t`Adding ${one.name || one.host}`, t`It goes on in the background.`);
    hide();
  };
  if (!running && deployment) return <Opening title={t`Deployment`} onRetry={readAgain} />;
  if (!running && method === "many") return <Many onMethod={setMethod} onClose={close} />;
  if (!running && method === "command") return <OneLine onMethod={setMethod} onClose={close} />;
  if (!running || editing) {
    return (
      <Form
        entries={entries}
        onChange={(part) => setEntries((before) => ({ ...before, ...part }))}
        onClose={close}
        onMethod={running ? null : setMethod}
        onAnew={
          left && !running
            ? () => {
                dropDraft();
                setLeft(false);
                setEntries(NO_ENTRIES);
              }
            : null
        }
        submit={async () => {
          if (running && editing) {
            setRunning(await retryDeployment(running.peek().id, bodyOf(entries)));
            setEditing(false);
          } else {
            setRunning(await startDeployment(bodyOf(entries)));
            dropDraft();
          }
        }}
      />
    );
  }
  const retry = async (body: RetryBody): Promise<void> => {
    setRunning(await retryDeployment(running.peek().id, body));
    setEntries((before) => (before.host ? tried(before, body) : before)); // of another page's nothing was typed here
  };
  return <Running one={running.value} entries={entries} onEdit={entries.host ? () => setEditing(true) : null} onClose={close} onRetry={retry} />;
}

interface FormProps {
  entries: Entries;
  onChange: (part: Partial<Entries>) => void;
  onClose: () => void;
  /** null: it is settled. */
  onMethod: ((key: MethodKey) => void) | null;
  /** null: nothing of before stands in it. */
  onAnew: (() => void) | null;
  submit: () => Promise<void>;
}

const FIELD_OF: Record<string, keyof Wrong> = {
  host: "host", port: "port", username: "username", private_key: "key", passphrase: "passphrase", password: "password", sudo_password: "sudoPassword", name: "name", tags: "tags", certificate: "certificate",
  "jump.host": "jumpHost", "jump.port": "jumpPort", "jump.username": "jumpUser", "jump.private_key": "jumpSecret", "jump.password": "jumpSecret", "jump.passphrase": "jumpSecret",
}; // prettier-ignore

function Form({ entries, onChange, onClose, onMethod, onAnew, submit }: FormProps): VNode {
  const [wrong, setWrong] = useState<Wrong>({});
  const [refusal, setRefusal] = useState("");
  const [busy, setBusy] = useState(false);
  const change = (part: Partial<Entries>): void => {
    onChange(part);
    setWrong((before) => Object.fromEntries(Object.entries(before).filter(([name]) => !(name in part) && !("jump" in part && name.startsWith("jump")))));
  };
  const send = async (): Promise<void> => {
    const found = faults(entries);
    setWrong(found);
    setRefusal("");
    if (Object.keys(found).length || busy) return;
    setBusy(true);
    try {
      await submit();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const field = FIELD_OF[String(error.facts["field"] ?? "")];
      if (field) setWrong({ [field]: error.detail });
      else setRefusal(error.detail);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog title={t`Add node`} subtitle={t`Stardust signs in once over SSH and installs the agent.`} icon="server" onClose={onClose}>
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <div class="deploy-form">
          {onMethod && <Method value="ssh" onPick={onMethod} />}
          {onAnew && (
            <Banner
              kind="info"
              mark={<Icon name="info" />}
              action={
                <Button slim onClick={onAnew}>
                  {t`Start anew`}
                </Button>
              }
            >
              {t`As you left it, but for keys and passwords, which are not kept.`}
            </Banner>
          )}
          {refusal && (
            <Banner kind="crit" alert mark={<Glyph kind="fail" label="" />}>
              {refusal}
            </Banner>
          )}
          <ServerFields entries={entries} wrong={wrong} onChange={change} />
          <div class="halves">
            <TextField label={t`SSH user`} value={entries.username} onText={(username) => change({ username })} wrong={wrong.username ?? ""} input={{ autocomplete: "off", autocapitalize: "off", spellcheck: false, maxLength: 64 }} />
            <TextField label={t`Name in Stardust`} value={entries.name} onText={(name) => change({ name })} wrong={wrong.name ?? ""} input={{ placeholder: t`taken from the host name`, autocomplete: "off", spellcheck: false, maxLength: 64 }} />
          </div>
          <SignInFields entries={entries} wrong={wrong} onChange={change} />
          <JumpFields jump={entries.jump} wrong={wrong} hint={t`For a server that only another one can reach, as with ssh -J.`} onJump={(jump) => change({ jump })} />
          <Switch label={t`Keep credentials`} hint={t`Sealed in Ground Control, for updates and removal. They are wiped when the node is removed.`} checked={entries.keep} onCheck={(keep) => change({ keep })} />
          <div class="halves">
            <SelectField
              label={t`Policy on the server`}
              value={entries.policy}
              onPick={(policy) => change({ policy: policy as Entries["policy"] })}
              hint={{ managed: t`Stardust may watch, check and upgrade.`, readonly: t`Stardust may watch and check, never change.`, monitor: t`Stardust may only watch.` }[entries.policy]}
              options={POLICIES}
            />
            <TagsField label={t`Tags`} tags={entries.tags} onTags={(tags) => change({ tags })} />
          </div>
        </div>
        <footer>
          <span class="t3 aside">{t`Next, you confirm the server’s fingerprint.`}</span>
          <Button class="end" onClick={onClose}>
            {t`Cancel`}
          </Button>
          <Button kind="primary" type="submit" busy={busy}>
            {t`Connect`}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

interface RunningProps {
  one: DeploymentView;
  entries: Entries;
  /** null: nothing was typed here (the page was loaded anew), so there is nothing to correct. */
  onEdit: (() => void) | null;
  onClose: () => void;
  onRetry: (body: RetryBody) => Promise<void>;
}

function Running({ one, entries, onEdit, onClose, onRetry }: RunningProps): VNode {
  const update = one.kind === "update";
  const where = update ? one.host : `${one.username}@${one.host}:${one.port}${one.jump ? ` ${t`over ${one.jump.host}`}` : ""}`;
  // It may have gone since, or be away.
  const node = one.node_id && nodeName(one.node_id) !== undefined ? nodeSignal(one.node_id)?.value : undefined;
  const live = node?.state === "online";
  const title = dialogTitle(one, one.name || one.host, live);
  if (one.state === "awaiting_host_key" && one.host_key) return <HostKey key={`${placeText(one.host_key)} ${one.host_key.fingerprint}`} one={one} onClose={onClose} />;
  if (one.state === "failed" || one.state === "cancelled") {
    const took = one.ended_at === null ? "" : ` · ${t`stopped after ${duration(one.ended_at - (one.steps[0]?.started_at ?? one.created_at))}`}`;
    return (
      <Dialog key="failed" title={title} subtitle={where + took} icon="server" onClose={onClose}>
        <OfRequest one={one} />
        <FailureBox one={one} entries={entries} onRetry={update ? null : onRetry} />
        <Steps deployment={one} last={t`Done`} />
        <footer>
          {onEdit && mayAct.value && (
            <Button kind="quiet" onClick={onEdit}>
              {t`Edit connection`}
            </Button>
          )}
          <span class="t3 end aside">{update && node && mayAct.value ? t`An update is ordered anew in the settings of its node.` : onEdit ? t`Your entries are kept until you close this.` : ""}</span>
          {update && <ToSettings one={one} onClose={onClose} />}
          <Button onClick={onClose}>{t`Close`}</Button>
        </footer>
      </Dialog>
    );
  }
  const done = one.state === "succeeded";
  const open = (): void => {
    onClose();
    if (one.node_id) go(`/n/${one.node_id}`);
  };
  return (
    <Dialog key="running" title={title} subtitle={t`${where} · Major Tom`} icon="server" onClose={onClose}>
      <OfRequest one={one} />
      <Bar deployment={one} label={t`Deployment`} />
      <Steps deployment={one} last={t`Done`} />
      <footer>
        <span class="t3 aside">{asideOf(one, entries, node?.state)}</span>
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
            <Button class="end" onClick={onClose}>
              {t`Run in background`}
            </Button>
            {(!update || one.steps[0]?.state === "waiting") && <CancelButton id={one.id} />}
          </>
        )}
      </footer>
    </Dialog>
  );
}

function asideOf(one: DeploymentView, entries: Entries, node: NodeView["state"] | undefined): string {
  if (one.state === "succeeded") return node === "online" ? t`The agent completed a session and sends samples.` : node ? t`The node is not connected now.` : t`The node is not in the fleet now.`;
  if (!mayAct.value) return t`Your role may look at deployments; operators and admins may act on them.`;
  if (one.kind === "update") return t`This goes on when the dialog is closed.`;
  return entries.keep ? t`Credentials are kept sealed for updates and removal.` : t`Key and passwords stay in memory for this deployment only.`;
}

/** From one of many to all that were asked for with it, where those that failed are tried again together. */
function OfRequest({ one }: { one: DeploymentView }): VNode | null {
  const all = `/deployments/${one.batch_id}`;
  return one.batch_id && place.value.path !== all ? (
    <p class="earlier">
      <a class="accent" href={all} onClick={hide}>
        {t`All servers of this request`}
      </a>
    </p>
  ) : null;
}

function CancelButton({ id }: { id: string }): VNode | null {
  const [busy, setBusy] = useState(false);
  const cancel = async (): Promise<void> => {
    setBusy(true);
    try {
      await cancelDeployment(id);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      toast("fail", t`It could not be cancelled`, error.detail);
    } finally {
      setBusy(false);
    }
  };
  return mayAct.value ? (
    <Button kind="danger" busy={busy} onClick={() => void cancel()}>
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

function HostKey({ one, onClose }: { one: DeploymentView; onClose: () => void }): VNode {
  const [match, setMatch] = useState(false);
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState("");
  useEffect(() => setWrong(""), [one]); // what was told since is newer
  const { type, fingerprint } = one.host_key ?? { type: "", fingerprint: "" };
  const command = `ssh-keygen -lf /etc/ssh/${KEY_FILES[type] ?? (type.startsWith("ecdsa") ? "ssh_host_ecdsa_key.pub" : "ssh_host_ed25519_key.pub")}`;
  const trust = async (): Promise<void> => {
    setBusy(true);
    setWrong("");
    try {
      await confirmHostKey(one.id, fingerprint);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(error.detail);
      setBusy(false);
    }
  };
  return (
    <Dialog key="hostkey" title={t`Is this the right server?`} subtitle={t`${one.host_key && ofJump(one) ? t`${placeText(one.host_key)} (jump host)` : `${one.host}:${one.port}`} · first contact`} icon="server" onClose={onClose}>
      <OfRequest one={one} />
      <div class="body">
        {wrong && (
          <Banner kind="crit" alert mark={<Glyph kind="fail" label="" />}>
            {wrong}
          </Banner>
        )}
        <p class="t2">{t`Stardust has not seen this host before. Compare the fingerprint with the one the server shows, then continue.`}</p>
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
          <LookOnly />
        )}
      </div>
      <footer>
        <CancelButton id={one.id} />
        {mayAct.value ? (
          <Button kind="primary" class="end" busy={busy} disabled={!match} onClick={() => void trust()}>
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
