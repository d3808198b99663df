/** The box about a failed deployment: its cause, what it left on the server, the field that fixes it, and a retry. */

import { useState } from "preact/hooks";
import { t } from "../../core/text";
import { fixFor, isLoginRefusal, leftoverText, type FixField } from "../../core/deployments/deploy-steps";
import { openDeployment } from "../../state/deployments";
import { nodeName } from "../../state/fleet";
import { go } from "../../state/router";
import { mayAct } from "../../state/session";
import type { DeploymentView, RetryBody } from "../../state/types";
import { Button, Form, Glyph, SecretField, TextField } from "../../ui";
import { Check, ConfirmName } from "../../ui/form";
import { useSubmit } from "../jobs/submit/use-submit";
import { JumpSignInAgain, KeyField, SignInFields } from "./connection-fields";
import { askedJump, jumpPart, missingCredentialsReason, portFault, signInBody, wholeKey, type ConnectionForm } from "./connection-form";
import { NixosPaste } from "./nixos-paste";

interface Props {
  deployment: DeploymentView;
  entries: ConnectionForm;
  /** The node's name, to be typed before its removal is retried. */
  confirm?: string;
  /** Null = it cannot be retried, only requested again. */
  onRetry: ((body: RetryBody) => Promise<void>) | null;
}

/** A note in place of actions that the role does not allow. */
export function ViewerNote() {
  return <p class="t2">{t`Your role can view deployments; only operators and admins can act on them.`}</p>;
}

/** A button to the settings of the node, where the user can remove it in another way or request its update again. Nothing if the node is gone. */
export function SettingsButton({ deployment, onClose }: { deployment: DeploymentView; onClose: () => void }) {
  const id = deployment.node_id;
  if (!mayAct.value || !id || nodeName(id) === undefined) return null;
  const open = (): void => {
    onClose();
    go(`/n/${id}/settings`);
  };
  return <Button onClick={open}>{t`Settings of the node`}</Button>;
}

/** The number of earlier tries. As the key of the box it gives each try a new form, so that a typed confirmation counts for one try only. */
export const triesOf = ({ earlier }: DeploymentView): number => earlier?.tries ?? 0;

export function FailureBox({ deployment, entries, confirm, onRetry }: Props) {
  const code = deployment.error?.code ?? "";
  const atJumpHost = deployment.error?.at_jump_host ?? false;
  const found = atJumpHost ? null : fixFor(code); // the fields are those of the server
  const fix = deployment.use_hub_key && found === "private_key" ? null : found; // the user adds Stardust's key to the server, then retries
  const [value, setValue] = useState(() => firstValueOf(fix, deployment));
  const [typed, setTyped] = useState("");
  const { sending, submit } = useSubmit();
  const [wrong, setWrong] = useState("");
  // The credentials that the hub requires again; null = none. They are not stored, and a reload has cleared the input.
  const [again, setAgain] = useState<ConnectionForm | null>(null);
  const [direct, setDirect] = useState(false);
  // The jump host that refused its credentials, or whose own ones the hub requires again; null = it has them.
  const [jump, setJump] = useState(() => (atJumpHost && isLoginRefusal(code) ? askedJump({ jump: deployment.jump }) : null));
  const left = deployment.kind === "install" ? leftoverText(deployment) : "";
  const blocked = (fix === "private_key" && !value) || (confirm !== undefined && typed !== confirm);
  const retry = (): void => {
    if (!onRetry || sending || blocked) return;
    if (fix === "port" && portFault(value)) {
      setWrong(t`A port is a number from 1 to 65535.`);
      return;
    }
    const body = {
      ...jumpPart(jump && (jump.password || jump.key.trim()) ? jump : null),
      ...(again || direct || fix === "host" || fix === "port" ? signInBody(again ?? entries) : {}),
      ...(direct ? { jump: null } : {}),
      ...bodyFor(fix, value),
    };
    void submit({
      what: t`Retry for ${deployment.name || deployment.host}`,
      send: () => onRetry(body),
      // The live message has already replaced this box.
      taken: () => undefined,
      late: () => undefined,
      refused: (why, error) => {
        const asks = error.code === "credentials_required";
        const asked = askedJump(error.facts);
        if (asked) setJump(asked);
        if (asks || asked) setAgain((before) => before ?? entries);
        setWrong(asks ? missingCredentialsReason(error.facts) : why);
      },
      back: () => openDeployment(deployment),
    });
  };
  return (
    <div class="failure" role="alert">
      <h3>
        <Glyph kind="fail" size="large" label="" />
        <span>{deployment.error?.message ?? t`It was cancelled before it finished.`}</span>
      </h3>
      {left && <p class="t2">{left}</p>}
      {deployment.error?.code === "nixos" && mayAct.value && <NixosPaste deployment={deployment} />}
      {confirm !== undefined && mayAct.value && (
        <p class="t2">{t`Trying again takes the server out of the fleet and deletes its history. This cannot be undone.`}</p>
      )}
      {!mayAct.value ? (
        <ViewerNote />
      ) : (
        onRetry && (
          <Form class="fix" onSubmit={retry}>
            <Fix fix={fix} deployment={deployment} value={value} onValue={setValue} />
            {deployment.jump && !deployment.forced && (
              <Check checked={direct} onCheck={setDirect}>
                {t`Connect directly, without the jump host ${deployment.jump.host}`}
              </Check>
            )}
            {again && (
              <div class="again">
                <SignInFields entries={again} wrong={{}} onChange={(part) => setAgain({ ...again, ...part })} />
              </div>
            )}
            {jump && !direct && (
              <div class="again">
                <JumpSignInAgain jump={jump} wrong={{}} onJump={setJump} />
              </div>
            )}
            {confirm !== undefined && <ConfirmName name={confirm} value={typed} onText={setTyped} />}
            <Button kind={confirm === undefined ? "primary" : "destroy"} type="submit" icon="rotate-cw" busy={sending} disabled={blocked}>
              {t`Retry`}
            </Button>
          </Form>
        )
      )}
      {wrong && <p class="wrong">{wrong}</p>}
    </div>
  );
}

/** The first value of the field that fixes the failure: the value of the failed try; empty for a secret, a choice or no field. */
function firstValueOf(fix: FixField, deployment: DeploymentView): string {
  if (fix === "host") return deployment.host;
  if (fix === "port") return String(deployment.port);
  if (fix === "username") return deployment.username;
  if (fix === "name") return deployment.name;
  return "";
}

function Fix({
  fix,
  deployment,
  value,
  onValue,
}: {
  fix: FixField;
  deployment: DeploymentView;
  value: string;
  onValue: (value: string) => void;
}) {
  const off = { autocomplete: "off", spellcheck: false, autocapitalize: "off", autofocus: true };
  switch (fix) {
    case "host":
      return <TextField label={t`Host name or IP`} value={value} onText={onValue} input={off} />;
    case "port":
      return <TextField label={t`Port`} value={value} onText={onValue} input={{ ...off, inputmode: "numeric" }} />;
    case "username":
      return <TextField label={t`SSH user`} value={value} onText={onValue} input={off} />;
    case "name":
      return <TextField label={t`Name in Stardust`} value={value} onText={onValue} input={off} />;
    case "passphrase":
      return <SecretField label={t`Key passphrase`} value={value} onText={onValue} input={off} />;
    case "password":
      return <SecretField label={t`SSH password of ${deployment.username}`} value={value} onText={onValue} input={off} />;
    case "sudo_password":
      return <SecretField label={t`sudo password of ${deployment.username}`} value={value} onText={onValue} input={off} />;
    case "private_key":
      return <KeyField value={value} name="" onKey={onValue} />;
    case "install_python":
      return (
        <Check checked={value === "yes"} onCheck={(on) => onValue(on ? "yes" : "")}>
          {t`Install Python with the server’s package manager`}
        </Check>
      );
    case null:
      return null;
  }
}

function bodyFor(fix: FixField, value: string): RetryBody {
  if (fix === null || (value === "" && fix !== "install_python")) return {};
  if (fix === "port") return { port: Number(value) };
  if (fix === "install_python") return { install_python: value === "yes" };
  if (fix === "private_key") return { private_key: wholeKey(value) };
  return { [fix]: fix === "host" || fix === "username" || fix === "name" ? value.trim() : value };
}
