/** The passkeys of the user, on the account page. They need the codes of an app beside them. */

import { useEffect, useState } from "preact/hooks";
import { age, t } from "../../core/text";
import { now } from "../../state/clock";
import { addPasskey, loadPasskeys, removePasskey } from "../../state/passkeys";
import { user } from "../../state/session";
import { toast } from "../../state/toasts";
import type { PasskeysView } from "../../state/types";
import { Button, Form, TextField } from "../../ui";
import { ActionError, useAction } from "../use-action";

export function Passkeys() {
  const [found, setFound] = useState<PasskeysView | null>(null);
  const [name, setName] = useState("");
  const act = useAction();
  const load = async (): Promise<void> => setFound(await loadPasskeys());
  useEffect(() => void act.run(load), []);
  const why =
    found?.unavailable ||
    (user.value?.totp_enabled ? "" : t`Set up the codes of an app first: they remain if the hub gets another address.`);
  const add = (): void =>
    void act.run(async () => {
      await addPasskey(name.trim(), user.peek()?.username ?? "");
      setName("");
      await load();
      toast("done", t`The passkey was added`);
    });
  return (
    <section class="card stack" aria-label={t`Passkeys`}>
      <h2>{t`Passkeys`}</h2>
      <p class="t2">
        {t`A key in this device or in your pocket, in place of a code.`}{" "}
        {found && !found.unavailable && t`It works under ${found.host} only: if the hub gets another address, it ends.`}
      </p>
      <ActionError text={act.refusal} />
      {found && why && <p class="t2">{why.charAt(0).toUpperCase() + why.slice(1)}</p>}
      {!!found?.passkeys.length && (
        <ul class="rows-card" aria-label={t`Passkeys`}>
          {found.passkeys.map((one) => (
            <li key={one.id}>
              <div class="grow">
                <span class="medium">{one.name}</span>{" "}
                {!one.usable && <span class="pill small warn">{t`ended: made for ${one.host}`}</span>}
                <p class="meta t3">{one.used_at === null ? t`never used` : t`used ${age(now.value - one.used_at)} ago`}</p>
              </div>
              <Button
                slim
                kind="danger"
                busy={act.busy}
                more={{ "aria-label": t`Remove the passkey ${one.name}` }}
                onClick={() =>
                  void act.run(async () => {
                    await removePasskey(one.id);
                    await load();
                  })
                }
              >
                {t`Remove`}
              </Button>
            </li>
          ))}
        </ul>
      )}
      {found && !why && (
        <Form class="row wrap" onSubmit={() => void (name.trim() && add())}>
          <TextField label={t`Name of the passkey`} value={name} onText={setName} input={{ maxLength: 60, required: true }} />
          <Button type="submit" busy={act.busy} disabled={!name.trim()}>
            {t`Add passkey`}
          </Button>
        </Form>
      )}
    </section>
  );
}
