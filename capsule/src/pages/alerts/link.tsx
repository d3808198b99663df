/** The page that a link in a message opens. It acknowledges or snoozes one alert without a sign-in, but only after a press of a button. */

import { useEffect, useState } from "preact/hooks";
import { LEVEL_WORDS } from "../../core/alerts/rule-text";
import { t, timeOrDate } from "../../core/text";
import { followLink } from "../../state/alert-calls";
import { ApiError, type LinkView } from "../../state/types";
import { Banner, Button, Glyph, Logo } from "../../ui";
import { ActionError } from "../use-action";

/** Removes the token from the address bar, so that it is not stored in the history or visible in a screenshot. Returns the token. */
function takeToken(): string {
  const token = location.hash.slice(1);
  if (token) history.replaceState(history.state, "", location.pathname);
  return token;
}

function done({ verb, alert }: LinkView): string {
  if (alert.state === "resolved") return t`It has ended already.`;
  if (verb === "snooze" && alert.snoozed_until !== null) return t`Snoozed until ${timeOrDate(alert.snoozed_until, Date.now() / 1000)}.`;
  return t`Acknowledged. It is not repeated any more.`;
}

export function LinkPage() {
  const [token] = useState(takeToken);
  const [busy, setBusy] = useState<"" | "acknowledge" | "snooze">("");
  const [found, setFound] = useState<LinkView | null>(null);
  const [refusal, setRefusal] = useState("");
  useEffect(() => {
    document.title = `${t`Alert`} · Stardust`;
  }, []);
  const follow = async (verb: "acknowledge" | "snooze"): Promise<void> => {
    setBusy(verb);
    setRefusal("");
    try {
      setFound(await followLink({ token, verb }));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setRefusal(error.detail);
    } finally {
      setBusy("");
    }
  };
  return (
    <main class="link-page">
      <section class="card stack" aria-labelledby="link-title">
        <div class="row">
          <Logo />
          <span class="strong">Stardust</span>
          <span class="t3 cut">{location.host}</span>
        </div>
        <h1 id="link-title" tabIndex={-1}>
          {found ? [found.alert.rule_id, found.alert.object].filter(Boolean).join(" ") : t`The alert of your message`}
        </h1>
        {found && (
          <p class="row">
            <Glyph kind={found.alert.level === "critical" ? "crit" : "warn"} label="" />
            {LEVEL_WORDS[found.alert.level]}
          </p>
        )}
        <div role="status">
          {found && (
            <Banner kind="info" mark={<Glyph kind="done" label="" />}>
              {done(found)}
            </Banner>
          )}
        </div>
        <ActionError text={refusal} />
        {token ? (
          <div class="row wrap">
            <Button kind="primary" icon="check" busy={busy === "acknowledge"} onClick={() => void follow("acknowledge")}>
              {t`Acknowledge`}
            </Button>
            <Button icon="bell-off" busy={busy === "snooze"} onClick={() => void follow("snooze")}>
              {t`Snooze 1 h`}
            </Button>
          </div>
        ) : (
          <p class="t2">{t`This link is not complete. Open it from the message again.`}</p>
        )}
        <p class="meta t3">
          <a class="accent" href="/alerts">
            {t`Open the alerts`}
          </a>
        </p>
      </section>
    </main>
  );
}
