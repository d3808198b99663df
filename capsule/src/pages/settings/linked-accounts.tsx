/** The accounts of providers that belong to the user, on the account page. Nothing shows while there is no provider. */

import { useEffect, useState } from "preact/hooks";
import { age, t } from "../../core/text";
import { now } from "../../state/clock";
import { leaveFor, loadButtons, loadLinks, removeLink } from "../../state/sso";
import { toast } from "../../state/toasts";
import { ApiError, type SsoButtonView, type SsoLinkView } from "../../state/types";
import { Button } from "../../ui";
import { ActionError, useAction } from "../use-action";

export function LinkedAccounts() {
  const [links, setLinks] = useState<readonly SsoLinkView[] | null>(null);
  const [providers, setProviders] = useState<readonly SsoButtonView[]>([]);
  const [failure, setFailure] = useState("");
  const act = useAction();
  useEffect(() => {
    Promise.all([loadLinks(), loadButtons()]).then(
      ([found, buttons]) => {
        setLinks(found);
        setProviders(buttons);
      },
      (error: unknown) => {
        if (!(error instanceof ApiError)) throw error;
        setFailure(error.detail);
      },
    );
  }, []);
  if (!failure && !links?.length && !providers.length) return null;
  return (
    <section class="card" aria-label={t`Linked accounts`}>
      <h2>{t`Linked accounts`}</h2>
      <p class="t2">{t`Sign in with an account that you have elsewhere. It is known by its number there, never by its e-mail address.`}</p>
      <ActionError text={failure || act.refusal} />
      {!!links?.length && (
        <ul class="rows-card" aria-label={t`Linked accounts`}>
          {links.map((one) => (
            <li key={one.id}>
              <div class="grow">
                <span class="medium">{one.shown || one.subject}</span> <span class="pill small">{one.provider}</span>
                <p class="meta t3">
                  {one.issuer} · {one.used_at === null ? t`never used` : t`used ${age(now.value - one.used_at)} ago`}
                </p>
              </div>
              <Button
                slim
                kind="danger"
                busy={act.busy}
                more={{ "aria-label": t`Remove the link to ${one.shown || one.subject}` }}
                onClick={() =>
                  void act.run(async () => {
                    await removeLink(one.id);
                    setLinks((held) => held?.filter((other) => other.id !== one.id) ?? null);
                    toast("done", t`The link was removed`);
                  })
                }
              >
                {t`Remove`}
              </Button>
            </li>
          ))}
        </ul>
      )}
      <div class="row wrap">
        {providers.map((one) => (
          <Button key={one.name} onClick={() => void act.run(() => leaveFor(one.name, "link", "/settings"))}>
            {t`Link ${one.title}…`}
          </Button>
        ))}
      </div>
    </section>
  );
}
