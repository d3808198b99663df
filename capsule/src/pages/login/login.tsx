import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { age } from "../../core/time";
import { changePassword, knowsCurrentPassword, logIn, logOut, notice, phase, resume, resumesAt, user } from "../../state/session";
import { ApiError } from "../../state/types";
import { Button } from "../../ui/button";
import { SecretField, TextField } from "../../ui/field";
import { Glyph } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import { lazy } from "../../ui/lazy";
import { Banner } from "../../ui/parts";
import { Frame } from "./frame";
import { NewPassword, NO_PASSWORD, unmet } from "./new-password";

const SecondStep = lazy("the next step", async () => (await import("../access")).SecondStep);
const EnrolPage = lazy("the next step", async () => (await import("../access")).EnrolPage);

export function LoginPage(): VNode {
  switch (phase.value) {
    case "change":
      return <ChangePassword />;
    case "enrol":
      return <EnrolPage />;
    case "unreachable":
      return <Unreachable />;
    default:
      return <SignIn />;
  }
}

/** Seconds left until `until` (ms), counted down once a second. */
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

function SignIn(): VNode {
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [setupCode, setSetupCode] = useState("");
  const [wantsCode, setWantsCode] = useState(false);
  const [second, setSecond] = useState(false);
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const [until, setUntil] = useState(0);
  const secret = useRef<HTMLInputElement>(null);
  const left = useCountdown(until);
  const submit = async (): Promise<void> => {
    if (busy || left > 0) return;
    setBusy(true);
    setWrong("");
    try {
      await logIn(username, password, { setupCode });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code === "auth.totp_required") return setSecond(true);
      if (error.status === 429) setUntil(Date.now() + (error.retryAfterS ?? 60) * 1000);
      else if (error.code === "auth.setup_code_required") setWantsCode(true);
      setWrong(words(error));
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
        onBack={(why) => {
          setSecond(false);
          setPassword("");
          setWrong(why);
        }}
      />
    );
  }
  const said = left > 0 ? `Too many attempts. Try again in ${age(left)}.` : wrong;
  return (
    <Frame
      title="Sign in to Stardust"
      text={location.host}
      alert={
        said ? (
          <Banner kind="crit" alert mark={<Glyph kind="fail" label="" />}>
            {said}
          </Banner>
        ) : notice.value ? (
          <Banner kind="calm" mark={<Icon name="info" />}>
            {notice.value}
          </Banner>
        ) : null
      }
    >
      <form
        class="panel"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <TextField label="User name" value={username} onText={setUsername} input={{ name: "username", autocomplete: "username", autocapitalize: "off", spellcheck: false, required: true, autofocus: true }} />
        <SecretField label="Password" value={password} onText={setPassword} inputRef={secret} input={{ name: "password", autocomplete: "current-password", required: true }} />
        {wantsCode && (
          <TextField label="Setup code" value={setupCode} onText={setSetupCode} hint="Ground Control prints it on its console at the first start." input={{ autocomplete: "one-time-code", spellcheck: false, required: true, autofocus: true }} />
        )}
        <Button kind="primary" type="submit" busy={busy} disabled={left > 0}>
          Sign in
        </Button>
      </form>
    </Frame>
  );
}

function words(error: ApiError): string {
  switch (error.code) {
    case "auth.bad_credentials":
    case "auth.required":
      return "User name or password is wrong.";
    case "auth.rate_limited":
      return "Too many attempts.";
    case "auth.setup_code_required":
      return "This is the first sign-in, from another machine. Enter the setup code from Ground Control’s console.";
    default:
      return error.detail;
  }
}

function ChangePassword(): VNode {
  const username = user.value?.username ?? "";
  const asks = !knowsCurrentPassword();
  const [current, setCurrent] = useState("");
  const [entries, setEntries] = useState(NO_PASSWORD);
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (): Promise<void> => {
    if (busy) return;
    const missing = unmet(entries, username, current);
    setWrong(missing);
    if (missing) return;
    setBusy(true);
    try {
      await changePassword(current, entries.password);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(error.status === 401 || error.code === "auth.bad_credentials" ? "The current password is wrong." : error.detail);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Frame
      title="Choose a new password"
      text="The password that you signed in with is good for this step only. Set your own to continue."
      alert={
        wrong && (
          <Banner kind="crit" alert mark={<Glyph kind="fail" label="" />}>
            {wrong}
          </Banner>
        )
      }
    >
      <form
        class="panel"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <input class="hidden-text" type="text" name="username" autocomplete="username" value={username} readOnly tabIndex={-1} aria-hidden="true" />
        {asks && <SecretField label="Current password" value={current} onText={setCurrent} input={{ autocomplete: "current-password", required: true, autofocus: true }} />}
        <NewPassword entries={entries} onChange={setEntries} username={username} current={current} autofocus={!asks} />
        <Button kind="primary" type="submit" busy={busy}>
          Set password and continue
        </Button>
        <Button kind="quiet" onClick={() => void logOut()}>
          Sign out
        </Button>
      </form>
    </Frame>
  );
}

function Unreachable(): VNode {
  const left = useCountdown(resumesAt.value);
  return (
    <Frame title="No connection to Ground Control" text={location.host}>
      <div class="panel">
        <p class="t2">The page is here, but Ground Control does not answer. It may be starting, or the network is down. What you asked for opens as soon as it does.</p>
        <p class="t3 num" aria-hidden="true">
          {left ? `Trying again in ${left} s.` : "Trying now…"}
        </p>
        <Button kind="primary" busy={!left} onClick={() => void resume()}>
          Try now
        </Button>
      </div>
    </Frame>
  );
}
