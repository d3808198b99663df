import { useEffect, useRef, useState } from "preact/hooks";
import { age, t } from "../../core/text";
import { logIn, notice, phase, resume, resumesAt } from "../../state/session";
import { ApiError } from "../../state/types";
import { Button, Form, lazy, SecretField, TextField } from "../../ui";
import { Frame } from "./frame";

const ChangePage = lazy(t`the next step`, async () => (await import("./change")).ChangePage);
const SecondStep = lazy(t`the next step`, async () => (await import("./second")).SecondStep);
const SsoButtons = lazy(
  t`the next step`,
  async () => (await import("./sso")).SsoButtons,
  () => null,
);
const EnrolPage = lazy(t`the next step`, async () => (await import("./enrol")).EnrolPage);

export function LoginPage() {
  switch (phase.value) {
    case "change":
      return <ChangePage />;
    case "enrol":
      return <EnrolPage />;
    case "unreachable":
    case "leaving":
      return <Unreachable />;
    default:
      return <SignIn />;
  }
}

/** The seconds until a time in Unix milliseconds. */
function useCountdown(until: number): number {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    const tick = (): void => setLeft(Math.max(0, Math.ceil((until - Date.now()) / 1000)));
    tick();
    const timer = setInterval(tick, 250);
    return () => clearInterval(timer);
  }, [until]);
  return left;
}

function SignIn() {
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [setupCode, setSetupCode] = useState("");
  const [wantsCode, setWantsCode] = useState(false);
  const [second, setSecond] = useState<"" | "code" | "passkey">("");
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const [until, setUntil] = useState(0);
  const secret = useRef<HTMLInputElement>(null);
  const misses = useRef(0);
  const left = useCountdown(until);
  const submit = async (): Promise<void> => {
    if (busy || left > 0) return;
    setBusy(true);
    setWrong("");
    try {
      await logIn(username, password, { setupCode });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code === "auth.totp_required") return setSecond(error.facts["passkey"] ? "passkey" : "code");
      if (error.status === 429) setUntil(Date.now() + (error.retryAfterS ?? 60) * 1000);
      else if (error.code === "auth.setup_code_required") setWantsCode(true);
      setWrong(
        error.status === 401 && (misses.current += 1) > 2
          ? t`${words(error)} After 5 wrong tries in a minute you have to wait.`
          : words(error),
      );
      if (error.status === 401) {
        setPassword("");
        secret.current?.focus();
      }
    } finally {
      setBusy(false);
    }
  };
  if (second) {
    return (
      <SecondStep
        username={username}
        onCode={(code) => logIn(username, password, { setupCode, code })}
        onPasskey={second === "passkey" ? async () => (await import("./sso")).passkeyLogIn(username, password, setupCode) : undefined}
        onBack={(why) => {
          setSecond("");
          setPassword("");
          setWrong(why);
        }}
      />
    );
  }
  const refusalText = left > 0 ? t`Too many attempts. Try again in ${age(left)}.` : wrong;
  return (
    <Frame title={t`Sign in to Stardust`} text={location.host} refusal={refusalText} note={notice.value}>
      <Form class="panel" onSubmit={() => void submit()}>
        <TextField
          label={t`User name`}
          value={username}
          onText={setUsername}
          code
          input={{ name: "username", autocomplete: "username", required: true, autofocus: true }}
        />
        <SecretField
          label={t`Password`}
          value={password}
          onText={setPassword}
          inputRef={secret}
          input={{ name: "password", autocomplete: "current-password", required: true }}
        />
        {wantsCode && (
          <TextField
            label={t`Setup code`}
            value={setupCode}
            onText={setSetupCode}
            hint={t`Ground Control prints it on its console at the first start.`}
            code
            input={{ autocomplete: "one-time-code", required: true, autofocus: true }}
          />
        )}
        <Button kind="primary" type="submit" busy={busy} disabled={left > 0}>
          {t`Sign in`}
        </Button>
        <SsoButtons onRefusal={setWrong} />
      </Form>
    </Frame>
  );
}

function words(error: ApiError): string {
  switch (error.code) {
    case "auth.bad_credentials":
    case "auth.required":
      return t`User name or password is wrong.`;
    case "auth.rate_limited":
      return t`Too many attempts.`;
    case "auth.setup_code_required":
      return t`This is the first sign-in. Enter the setup code from Ground Control’s console.`;
    default:
      return error.detail;
  }
}

function Unreachable() {
  const left = useCountdown(resumesAt.value);
  const leaving = phase.value === "leaving";
  return (
    <Frame
      title={leaving ? t`Not signed out yet` : t`No connection to Ground Control`}
      text={location.host}
      refusal={
        leaving
          ? t`Ground Control did not answer: your session may still be open. This browser keeps asking until it has ended, and does not use it meanwhile.`
          : ""
      }
    >
      <div class="panel">
        {!leaving && (
          <p class="t2">{t`This page loaded, but Ground Control does not answer. It may be starting, or the network is down. Your page opens as soon as it answers.`}</p>
        )}
        <p class="t3 num" aria-hidden="true">
          {left ? t`Trying again in ${left} s.` : t`Trying now…`}
        </p>
        <Button kind="primary" busy={!left} onClick={() => void resume()}>
          {t`Try now`}
        </Button>
      </div>
    </Frame>
  );
}
