/** What to paste on a NixOS server, where a deployment has changed nothing: the settings of the module, and an invite for them. */

import { useState } from "preact/hooks";
import { inviteFileLine, nixosSettings } from "../../core/deployments/nixos-settings";
import { age, t } from "../../core/text";
import { now } from "../../state/clock";
import { makeInvite } from "../../state/invites";
import { isAdmin } from "../../state/session";
import type { DeploymentView, NewInviteView } from "../../state/types";
import { Button } from "../../ui";
import { CopyButton } from "../../ui/copy";
import { ActionError, useAction } from "../use-action";

interface BlockProps {
  label: string;
  copy: string;
  text: string;
}

function Block({ label, copy, text }: BlockProps) {
  return (
    <div class="code one-line">
      <code class="lines" aria-label={label} tabIndex={0}>
        {text}
      </code>
      <CopyButton text={() => text} name={copy} />
    </div>
  );
}

export function NixosPaste({ deployment }: { deployment: DeploymentView }) {
  const [made, setMade] = useState<NewInviteView | null>(null);
  const making = useAction();
  const make = async (): Promise<void> => {
    const { name, policy } = deployment;
    // A switch takes longer than the five minutes of an invite for one node; only admins may make one that lasts.
    const lasting = { kind: "organisation", name: name || "nixos", uses: 1, days: 1, approval: true, policy } as const;
    await making.run(async () => setMade(await makeInvite(isAdmin.value ? lasting : { name, policy })));
  };
  return (
    <>
      <p class="t2">{t`Put this into its configuration, with the module unpacked in /etc/nixos/stardust.`}</p>
      <Block label={t`Settings for NixOS`} copy={t`Copy the settings`} text={nixosSettings(deployment.policy)} />
      <ActionError text={making.refusal} />
      {made ? (
        <>
          <p class="t2">{t`Run this line as root there, paste the invite, end with Enter and Ctrl-D, and switch. It works once, for another ${age(made.expires_at - now.value)}.`}</p>
          <Block label={t`Line for the invite`} copy={t`Copy the line`} text={inviteFileLine} />
          <Block label={t`Invite`} copy={t`Copy the invite`} text={made.invite} />
        </>
      ) : (
        <Button busy={making.busy} onClick={() => void make()}>
          {t`Create an invite for it`}
        </Button>
      )}
    </>
  );
}
