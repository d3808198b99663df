/** Sign-in through a provider: the buttons on the sign-in form, and the pages to which the provider sends the browser back. */

import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../../core/text";
import { go } from "../../state/router";
import { type PasskeyRequest, prove } from "../../state/passkeys";
import { logIn, phase } from "../../state/session";
import { finish, leaveFor, loadButtons, takeReturned } from "../../state/sso";
import { ApiError, type SsoButtonView } from "../../state/types";
import { Button, lazy } from "../../ui";
import { Frame } from "./frame";

const SecondStep = lazy(t`the next step`, async () => (await import("./second")).SecondStep);

export function SsoButtons({ onRefusal }: { onRefusal: (why: string) => void }) {
  const [found, setFound] = useState<readonly SsoButtonView[]>([]);
  const [busy, setBusy] = useState("");
  useEffect(() => {
    // The password form works without them, and says so if the hub does not answer.
    void loadButtons().then(setFound, () => undefined);
  }, []);
  const leave = async (name: string): Promise<void> => {
    setBusy(name);
    onRefusal("");
    try {
      await leaveFor(name, "login", location.pathname + location.search);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      onRefusal(error.detail);
      setBusy("");
      void loadButtons().then(setFound, () => undefined);
    }
  };
  if (!found.length) return null;
  return (
    <div class="stack sso-buttons">
      <p class="t3 meta">{t`or`}</p>
      {found.map((one) => (
        <Button key={one.name} busy={busy === one.name} onClick={() => void leave(one.name)}>
          {one.away ? t`${one.title} (did not answer just now)` : t`Sign in with ${one.title}`}
        </Button>
      ))}
    </div>
  );
}

/** Signs in with a password and a passkey. Each attempt asks the hub for a challenge of its own. */
export async function passkeyLogIn(username: string, password: string, setupCode: string): Promise<void> {
  const request = await logIn(username, password, { setupCode }).catch((error: unknown) => {
    if (!(error instanceof ApiError) || error.code !== "auth.totp_required" || !error.facts["passkey"]) throw error;
    return error.facts["passkey"] as PasskeyRequest;
  });
  if (request) await logIn(username, password, { setupCode, passkey: await prove(request) });
}

/** `/oidc`: takes the provider's answer out of the address and gives it to the hub. */
export function SsoReturn() {
  const [returned] = useState(takeReturned);
  const [refusal, setRefusal] = useState("");
  const [state, setState] = useState("");
  const begun = useRef(false);
  const signedIn = phase.value === "ready";
  const end = async (body: Parameters<typeof finish>[0]): Promise<void> => {
    try {
      const done = await finish(body);
      go(done.purpose === "link" ? "/settings" : done.return_to, { replace: true });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const next = error.facts["continue"];
      if (typeof next === "string") setState(next);
      if (typeof next === "string" && body.totp) throw error; // the form of the second step shows it
      if (typeof next !== "string") {
        setState("");
        setRefusal(error.detail);
      }
    }
  };
  useEffect(() => {
    if (begun.current) return;
    begun.current = true;
    void end(returned);
  }, []);
  if (state) {
    return (
      <SecondStep
        username={t`your account`}
        onCode={(code) => end({ state, totp: code })}
        onBack={(why) => {
          setState("");
          setRefusal(why || t`The sign-in was not finished.`);
        }}
      />
    );
  }
  return (
    <Frame title={refusal ? t`Not signed in` : t`Signing in…`} text={location.host} refusal={refusal}>
      <div class="panel">
        {refusal ? (
          <>
            <p class="t2">{t`An admin sees the reason under Settings, Single sign-on.`}</p>
            <Button kind="primary" onClick={() => go("/", { replace: true })}>
              {signedIn ? t`Back to the page` : t`Back to the sign-in`}
            </Button>
          </>
        ) : (
          <p class="t2" aria-live="polite">{t`Ground Control checks the answer of the provider.`}</p>
        )}
      </div>
    </Frame>
  );
}

/** `/signed-out`: it never signs in by itself, so that the next user of this browser does not find a session. */
export function SignedOut() {
  return (
    <Frame title={t`You are signed out`} text={location.host}>
      <div class="panel">
        <p class="t2">{t`Your session here and the one at your provider have ended.`}</p>
        <Button kind="primary" onClick={() => go("/", { replace: true })}>
          {t`Sign in again`}
        </Button>
      </div>
    </Frame>
  );
}
