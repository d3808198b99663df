import { useEffect, useState } from "preact/hooks";
import { groupSecret, recoveryText } from "../../core/access/account-labels";
import { t } from "../../core/text";
import { beginTotp, newRecoveryCodes, stopTotp, switchOnTotp } from "../../state/account";
import { reloadUser, user } from "../../state/session";
import { ApiError, type TotpView } from "../../state/types";
import { Button, Form } from "../../ui";
import { Check } from "../../ui/form";
import { CodeField } from "../../ui/code-field";
import { CopyButton } from "../../ui/copy";
import { Dialog, Foot } from "../../ui/dialog";
import { Qr } from "../../ui/qr";
import { downloadText } from "../../ui/download";
import { FormDialog } from "../form-dialog";
import { ActionError, useAction } from "../use-action";
import { StoreFirstNote, useConfirmStored } from "./secret-once";

/** The new secret as a QR code and as text, and a field for its first code. */
export function SecretToScan({ secret, submit, onCode }: { secret: TotpView; submit: string; onCode: (code: string) => Promise<void> }) {
  const [code, setCode] = useState("");
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const verify = async (given: string): Promise<void> => {
    if (busy || given.length < 6) return;
    setBusy(true);
    setWrong("");
    try {
      await onCode(given);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setCode("");
      setWrong(
        error.code === "auth.totp_wrong"
          ? t`The code is wrong or expired. Check your phone’s clock, then enter the next code.`
          : error.detail,
      );
    } finally {
      setBusy(false);
    }
  };
  return (
    <Form class="stack" onSubmit={() => void verify(code)}>
      <p class="t2">{t`Scan this with an authenticator app, or type the key into it.`}</p>
      <Qr text={secret.uri} label={t`QR code of the key`} />
      <div>
        <p class="label" id="totp-key">
          {t`Key`}
        </p>
        <div class="code">
          <code aria-labelledby="totp-key" role="group">
            {groupSecret(secret.secret)}
          </code>
          <CopyButton text={() => secret.secret} name={t`Copy the key`} />
        </div>
      </div>
      <CodeField
        label={t`6-digit code from the app`}
        value={code}
        onText={setCode}
        onFull={(digits) => void verify(digits)}
        wrong={wrong}
      />
      <Button kind="primary" type="submit" busy={busy} disabled={code.length < 6}>
        {submit}
      </Button>
    </Form>
  );
}

/** The recovery codes, which are shown only once. The user stores them and confirms that. */
export function RecoveryCodes({ codes, done, onDone }: { codes: readonly string[]; done: string; onDone: () => void }) {
  const [kept, setKept] = useState(false);
  const text = (): string => recoveryText(codes, user.peek()?.username ?? "", location.host);
  return (
    <div class="stack recovery">
      <p class="t2">
        {t`Without your phone, each of these signs you in once, in place of the code. They are not shown again.`}{" "}
        <span class="only-print">
          Stardust, {user.peek()?.username}, {location.host}.
        </span>
      </p>
      <ul class="recovery-codes" aria-label={t`Recovery codes`}>
        {codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ul>
      <div class="row wrap no-print">
        <CopyButton text={text} slim={false} />
        <Button icon="download" onClick={() => downloadText(text(), "stardust-recovery-codes.txt", "text/plain")}>
          {t`Download`}
        </Button>
        <Button icon="printer" onClick={() => window.print()}>
          {t`Print`}
        </Button>
      </div>
      <Check checked={kept} onCheck={setKept}>
        {t`I have saved them`}
      </Check>
      <Button kind="primary" disabled={!kept} onClick={onDone}>
        {done}
      </Button>
    </div>
  );
}

type Step = "setup" | "codes" | "lost" | "stop";

/** The card about the second factor on the account page. */
export function SecondFactor({ onChanged }: { onChanged: () => void }) {
  const [step, setStep] = useState<Step | null>(null);
  const on = user.value?.totp_enabled ?? false;
  const close = (): void => {
    setStep(null);
    onChanged();
  };
  return (
    <section class="card" aria-label={t`Two-factor authentication`}>
      <div class="row">
        <h2>{t`Two-factor authentication`}</h2>
        <span class={`pill small ${on ? "ok" : ""}`}>{on ? t`on` : t`off`}</span>
      </div>
      <p class="t2">
        {on
          ? t`Signing in asks for a code from your authenticator app after the password.`
          : t`Adds a code from your phone at sign-in, so a stolen password is not enough.`}
      </p>
      <div class="row wrap">
        {on ? (
          <>
            <Button onClick={() => setStep("codes")}>{t`New recovery codes…`}</Button>
            <Button kind="danger" onClick={() => setStep("stop")}>
              {t`Turn off…`}
            </Button>
          </>
        ) : (
          <Button kind="primary" onClick={() => setStep("setup")}>
            {t`Set up…`}
          </Button>
        )}
      </div>
      {step === "setup" && <SetUp onLost={() => setStep("lost")} onClose={close} />}
      {(step === "codes" || step === "lost") && <NewCodes lost={step === "lost"} onClose={close} />}
      {step === "stop" && <TurnOff onClose={close} />}
    </section>
  );
}

/** The dialog that sets up a second factor. `onLost`: called if the second factor was switched on but its recovery codes did not arrive. */
function SetUp({ onLost, onClose }: { onLost: () => void; onClose: () => void }) {
  const [secret, setSecret] = useState<TotpView | null>(null);
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  const act = useAction();
  const guard = useConfirmStored(codes !== null, onClose);
  /** Whether a code was sent and has no answer yet. The dialog stays open, because the answer contains the recovery codes. */
  const [sent, setSent] = useState(false);
  const begin = (): void => void act.run(async () => setSecret(await beginTotp()));
  useEffect(begin, []);
  const confirm = async (code: string): Promise<void> => {
    setSent(true);
    try {
      const given = await switchOnTotp(code);
      if (!given) return onLost();
      setSecret(null);
      setCodes(given);
    } finally {
      setSent(false);
    }
    await reloadUser();
  };
  return (
    <Dialog
      key={codes ? "codes" : "secret"}
      title={codes ? t`Save your recovery codes` : t`Set up a second factor`}
      icon="shield"
      size="narrow"
      onClose={() => sent || guard.onClose()}
    >
      <div class="body">
        <ActionError text={act.refusal} />
        <StoreFirstNote warned={guard.warned} />
        {codes ? (
          <RecoveryCodes codes={codes} done={t`Done`} onDone={onClose} />
        ) : secret ? (
          <SecretToScan secret={secret} submit={t`Verify and switch on`} onCode={confirm} />
        ) : (
          !act.busy && (
            <div>
              <Button onClick={begin}>{t`Try again`}</Button>
            </div>
          )
        )}
      </div>
    </Dialog>
  );
}

/** The dialog for new recovery codes. `lost`: the second factor was just switched on, and its first codes did not arrive. */
function NewCodes({ lost, onClose }: { lost: boolean; onClose: () => void }) {
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  const act = useAction();
  const guard = useConfirmStored(codes !== null, onClose);
  const end = act.dialogProps(guard.onClose);
  return (
    <Dialog
      key={codes ? "codes" : "ask"}
      title={codes ? t`Save your recovery codes` : t`New recovery codes`}
      icon="shield"
      size="narrow"
      onClose={end.onClose}
    >
      {codes ? (
        <div class="body">
          <StoreFirstNote warned={guard.warned} />
          <RecoveryCodes codes={codes} done={t`Done`} onDone={onClose} />
        </div>
      ) : (
        <>
          <div class="body">
            <ActionError text={act.refusal} />
            <p class="t2">
              {lost
                ? t`The second factor is on, but its recovery codes did not arrive. Create new ones now.`
                : t`This creates ten new codes. The ones you have now stop working, used or not.`}
            </p>
          </div>
          <Foot focused {...end}>
            <Button kind="primary" busy={act.busy} onClick={() => void act.run(async () => setCodes((await newRecoveryCodes()).codes))}>
              {t`Create new codes`}
            </Button>
          </Foot>
        </>
      )}
    </Dialog>
  );
}

function TurnOff({ onClose }: { onClose: () => void }) {
  const stop = async (): Promise<void> => {
    await stopTotp();
    await reloadUser();
  };
  return (
    <FormDialog
      title={t`Turn off the second factor`}
      icon="shield"
      size="narrow"
      submit={t`Turn off`}
      kind="destroy"
      onSave={stop}
      done={[t`The second factor is off`, t`All your other sessions were ended.`]}
      onClose={onClose}
    >
      <p class="t2">{t`From then on, your password alone is enough to sign in. The key and the recovery codes are deleted, and all your other sessions end.`}</p>
    </FormDialog>
  );
}
