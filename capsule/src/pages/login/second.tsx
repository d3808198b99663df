import { useEffect, useRef, useState } from "preact/hooks";
import { age, t } from "../../core/text";
import { now } from "../../state/clock";
import { ApiError } from "../../state/types";
import { Button, Form, TextField } from "../../ui";
import { CodeField } from "../../ui/code-field";
import { Frame } from "./frame";

interface Props {
  username: string;
  onCode: (code: string) => Promise<void>;
  /** Signs in with a passkey in place of a code; absent = the user has none. */
  onPasskey?: (() => Promise<void>) | undefined;
  /** Called to return to user name and password, with the reason; empty = the user chose to. */
  onBack: (why: string) => void;
}

/** The second step of a sign-in: the current code or a recovery code. */
export function SecondStep({ username, onCode, onPasskey, onBack }: Props) {
  const [recovery, setRecovery] = useState(false);
  const [code, setCode] = useState("");
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const [until, setUntil] = useState(0);
  const field = useRef<HTMLInputElement>(null);
  const left = Math.max(0, Math.ceil(until - now.value));
  useEffect(() => field.current?.focus(), [recovery]);
  const submit = async (given: string, act = onCode): Promise<void> => {
    if (busy || left > 0 || (act === onCode && !given.trim())) return;
    setBusy(true);
    setWrong("");
    try {
      await act(given.trim());
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setBusy(false);
      setCode("");
      if (error.code === "auth.bad_credentials") return onBack(t`User name or password is wrong.`);
      if (error.status === 429) setUntil(now.peek() + (error.retryAfterS ?? 60));
      setWrong(
        error.code === "auth.totp_wrong" && act === onCode
          ? recovery
            ? t`This recovery code is wrong or was already used.`
            : t`The code is wrong, expired or already used. Wait for the next one.`
          : error.detail,
      );
      field.current?.focus();
    }
  };
  const turn = (): void => {
    setRecovery(!recovery);
    setCode("");
    setWrong("");
  };
  const refusalText = left > 0 ? t`Too many attempts. Try again in ${age(left)}.` : wrong;
  return (
    <Frame
      title={recovery ? t`Enter a recovery code` : t`Enter the 6-digit code`}
      text={recovery ? t`One of the ten you saved, for ${username}. Each works once.` : t`From your authenticator app, for ${username}.`}
      refusal={refusalText}
    >
      <Form class="panel" onSubmit={() => void submit(code)}>
        {recovery ? (
          <TextField
            key="recovery"
            label={t`Recovery code`}
            value={code}
            onText={setCode}
            inputRef={field}
            code
            input={{ name: "recovery-code", required: true, autofocus: true }}
          />
        ) : (
          <CodeField
            key="code"
            label={t`6-digit code`}
            value={code}
            onText={setCode}
            onFull={(digits) => void submit(digits)}
            inputRef={field}
            autofocus
          />
        )}
        <Button kind="primary" type="submit" busy={busy} disabled={left > 0}>
          {t`Verify`}
        </Button>
        {onPasskey && (
          <Button busy={busy} onClick={() => void submit("", onPasskey)}>
            {t`Use a passkey`}
          </Button>
        )}
        <div class="row links">
          <Button kind="quiet" onClick={turn}>
            {recovery ? t`Use a code from the app` : t`Use a recovery code`}
          </Button>
          <Button kind="quiet" onClick={() => onBack("")}>
            {t`Back`}
          </Button>
        </div>
      </Form>
    </Frame>
  );
}
