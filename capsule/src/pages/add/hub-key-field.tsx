/** The hub's own SSH key: its line for the server, or the button that creates the key. */

import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t, tElements } from "../../core/text";
import { createHubKey, loadHubKey } from "../../state/hub-key";
import { isAdmin } from "../../state/session";
import { withStrictStepUp } from "../../state/step-up";
import type { HubKeyView } from "../../state/types";
import { Button } from "../../ui";
import { CopyButton } from "../../ui/copy";
import { ActionError, useAction } from "../use-action";

/** `actions` are shown below an existing key. */
export function HubKeyField({ actions }: { actions?: VNode }) {
  /** Undefined = not loaded yet; null = the hub has no key. */
  const [key, setKey] = useState<HubKeyView | null | undefined>(undefined);
  const { busy, refusal, run } = useAction();
  useEffect(() => void run(async () => setKey(await loadHubKey())), []);
  if (!key)
    return (
      <div class="field">
        {key === null && (
          <p class="t2">
            {isAdmin.value
              ? t`Stardust has no SSH key yet. It makes one and keeps it encrypted; you copy a line to each server.`
              : t`Stardust has no SSH key yet. Ask an admin to create it.`}
          </p>
        )}
        {key === null && isAdmin.value && (
          <div>
            <Button
              busy={busy}
              onClick={() =>
                void run(async () =>
                  setKey(await withStrictStepUp(() => createHubKey(false), t`Enter your password to create Stardust’s SSH key.`)),
                )
              }
            >
              {t`Create key`}
            </Button>
          </div>
        )}
        <ActionError text={refusal} />
      </div>
    );
  return (
    <div class="field">
      <p class="t2">{tElements`Add this line to ${<code class="mono">~/.ssh/authorized_keys</code>} of the user on the server. It is not secret.`}</p>
      <div class="code one-line">
        <code aria-label={t`Line for authorized_keys`} tabIndex={0}>
          {key.authorized_keys}
        </code>
        <CopyButton text={() => key.authorized_keys} name={t`Copy the line`} />
      </div>
      {actions}
    </div>
  );
}
