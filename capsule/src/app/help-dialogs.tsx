/** Small dialogs that are rarely shown: the list of shortcuts, the password question, and why a freeze does not count. */

import { useEffect, useState } from "preact/hooks";
import { t } from "../core/text";
import { closeDialog } from "../state/dialogs";
import { freezeQuestion } from "../state/freeze";
import { preferences } from "../state/preferences";
import { user } from "../state/session";
import { stepUp } from "../state/step-up";
import { challenge, loadPasskeys, prove } from "../state/passkeys";
import { leaveFor, loadLinks } from "../state/sso";
import { ApiError, type SsoLinkView } from "../state/types";
import { Button, Form, SecretField, TextField } from "../ui";
import { CodeField } from "../ui/code-field";
import { Dialog, Foot } from "../ui/dialog";
import { SECTIONS } from "./sections";

const KEYS: readonly (readonly [string, readonly (readonly [string[], string])[]])[] = [
  [
    t`Anywhere`,
    [
      [[t`Ctrl`, "K"], t`Search or run a command`],
      [["/"], t`Filter`],
      [["n"], t`Add a node`],
      ...SECTIONS.map(({ key, label }): [string[], string] => [["g", key.charAt(0)], t`Go to ${label}`]),
      [["j", "k"], t`Next or previous row`],
      [[t`Enter`, "o"], t`Open the row`],
      [["t"], t`Switch the theme`],
      [["?"], t`Show this list`],
      [[t`Esc`], t`Close what is open`],
    ],
  ],
  [
    t`Fleet`,
    [
      [["←", "→"], t`Close or open a group`],
      [["x"], t`Select the row or its group`],
      [[t`Shift`, "x"], t`Select from the last selected row to this one`],
      [["u"], t`Upgrade the selected nodes`],
      [[t`Esc`], t`Clear the filter, else the selection`],
    ],
  ],
  [
    t`Alerts`,
    [
      [["x"], t`Select the alert`],
      [["e"], t`Acknowledge the alert`],
    ],
  ],
  [
    t`Node`,
    [
      [["[", "]"], t`Previous or next node`],
      [["1", "…", "5"], t`Live, 1 hour, 24 hours, 7 days, 30 days`],
      [[t`Space`], t`Freeze or resume live charts and processes`],
      [["v"], t`Show the chart under the pointer as a table`],
      [["←", "→"], t`In a chart: move by sample; with Shift, select a range, then Enter zooms in`],
      [[t`Esc`], t`Leave the chosen time range`],
    ],
  ],
];

export function ShortcutsDialog() {
  const on = preferences.value.single_keys;
  return (
    <Dialog title={t`Keyboard shortcuts`} icon="keyboard" size="narrow" onClose={closeDialog}>
      <div class="body" role="region" aria-label={t`Keyboard shortcuts, list`} tabIndex={0}>
        {!on && <p class="t2">{t`Single-key shortcuts are off. Turn them on under Settings, Appearance.`}</p>}
        {KEYS.map(([title, keys]) => (
          <section key={title} aria-label={title}>
            <h3 class="t3 meta">{title}</h3>
            <dl class="keys">
              {keys.map(([names, words]) => [
                <dt key={words}>
                  {names.map((key) => (
                    <kbd key={key}>{key}</kbd>
                  ))}
                </dt>,
                <dd key={`${words}-what`}>{words}</dd>,
              ])}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}

export function FreezeDialog() {
  const [reason, setReason] = useState("");
  const request = freezeQuestion.value;
  return (
    <Dialog title={t`This server is frozen`} icon="lock" size="narrow" onClose={() => request?.cancel()}>
      <Form autocomplete="off" onSubmit={() => void (reason.trim() && request?.confirm(reason.trim()))}>
        <div class="body">
          <p>{request?.words}</p>
          <TextField
            label={t`Why it may change now (the audit log keeps it)`}
            value={reason}
            onText={setReason}
            input={{ maxLength: 200, required: true, autofocus: true }}
          />
        </div>
        <Foot onClose={() => request?.cancel()}>
          <Button kind="destroy" type="submit" disabled={!reason.trim()}>{t`Go on in spite of the freeze`}</Button>
        </Foot>
      </Form>
    </Dialog>
  );
}

/** The same for a user without a password: the provider asks for the sign-in again, and the page comes back. */
function StepUpThere() {
  const [links, setLinks] = useState<readonly SsoLinkView[] | null>(null);
  const [wrong, setWrong] = useState("");
  const request = stepUp.value;
  const failed = (error: unknown): void => {
    if (!(error instanceof ApiError)) throw error;
    setWrong(error.detail);
  };
  useEffect(() => void loadLinks().then(setLinks, failed), []);
  const leave = (provider: string): void => void leaveFor(provider, "step_up", location.pathname + location.search).catch(failed);
  return (
    <Dialog title={t`Confirm your identity`} icon="lock" size="narrow" onClose={() => request?.cancel()}>
      <div class="body">
        <p>{t`You have no password here, so your provider confirms that it is you. Afterwards do this again.`}</p>
        {wrong && (
          <p class="wrong" role="alert">
            {wrong}
          </p>
        )}
        {links?.map((one) => (
          <Button key={one.id} kind="primary" onClick={() => leave(one.provider)}>
            {t`Confirm at ${one.provider}`}
          </Button>
        ))}
      </div>
      <Foot onClose={() => request?.cancel()}>{null}</Foot>
    </Dialog>
  );
}

export function StepUpDialog() {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [recovery, setRecovery] = useState(false);
  const [wrong, setWrong] = useState("");
  const [wrongCode, setWrongCode] = useState("");
  const [busy, setBusy] = useState(false);
  const request = stepUp.value;
  const second = user.value?.totp_enabled ?? false;
  if (user.value?.has_password === false) return <StepUpThere />;
  const ready = password !== "" && (!second || (recovery ? code.trim() !== "" : code.length === 6));
  const [hasPasskey, setHasPasskey] = useState(false);
  useEffect(() => {
    // Without an answer the button stays away; the code works.
    if (second)
      void loadPasskeys().then(
        ({ passkeys }) => setHasPasskey(passkeys.some((one) => one.usable)),
        () => undefined,
      );
  }, [second]);
  const confirm = async (digits = code, withPasskey = false): Promise<void> => {
    if (busy || !password) return;
    setBusy(true);
    setWrong("");
    setWrongCode("");
    try {
      const passkey = withPasskey ? await prove(await challenge()) : undefined;
      await request?.confirm(password, second && !passkey ? digits.trim() : "", passkey);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setCode("");
      if (error.code === "auth.totp_wrong")
        setWrongCode(
          withPasskey
            ? error.detail
            : recovery
              ? t`This recovery code is wrong or was already used.`
              : t`The code is wrong, expired or already used. Wait for the next one.`,
        );
      else {
        const isWrong = error.code === "auth.bad_credentials";
        setWrong(isWrong ? t`The password is wrong.` : error.detail);
        if (isWrong) setPassword("");
      }
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog title={t`Confirm your identity`} icon="lock" size="narrow" onClose={() => request?.cancel()}>
      <Form onSubmit={() => void (ready && confirm())}>
        <div class="body">
          <p>{request?.question}</p>
          <SecretField
            label={t`Your password`}
            value={password}
            onText={setPassword}
            wrong={wrong}
            input={{ autocomplete: "current-password", required: true, autofocus: true }}
          />
          {second && (
            <>
              {recovery ? (
                <TextField
                  key="recovery"
                  label={t`Recovery code`}
                  value={code}
                  onText={setCode}
                  wrong={wrongCode}
                  code
                  input={{ required: true }}
                />
              ) : (
                <CodeField
                  key="code"
                  label={t`6-digit code`}
                  value={code}
                  onText={setCode}
                  onFull={(digits) => void confirm(digits)}
                  wrong={wrongCode}
                />
              )}
              <div>
                <Button
                  slim
                  kind="quiet"
                  onClick={() => {
                    setRecovery(!recovery);
                    setCode("");
                    setWrongCode("");
                  }}
                >
                  {recovery ? t`Use a code from the app` : t`Use a recovery code`}
                </Button>
                {hasPasskey && (
                  <Button slim kind="quiet" disabled={!password} onClick={() => void confirm("", true)}>
                    {t`Use a passkey`}
                  </Button>
                )}
              </div>
            </>
          )}
        </div>
        <Foot
          status={request && request.minutes > 5 ? t`Not asked again for ${request.minutes} min.` : ""}
          onClose={() => request?.cancel()}
        >
          <Button kind="primary" type="submit" busy={busy} disabled={!ready}>
            {t`Confirm`}
          </Button>
        </Foot>
      </Form>
    </Dialog>
  );
}
