import { useState } from "preact/hooks";
import { t } from "../../core/text";
import { createHubKey, removeHubKey } from "../../state/hub-key";
import { withStrictStepUp } from "../../state/step-up";
import { toast } from "../../state/toasts";
import { Button } from "../../ui";
import { SectionHead } from "../../ui/section-head";
import { HubKeyField } from "../add/hub-key-field";
import { Typed } from "./user-dialogs";

const NAME = "authorized_keys";

/** The section in which admins create, see, replace and remove the hub's own SSH key. */
export function HubKeySection() {
  const [openDialog, setOpenDialog] = useState<"replace" | "remove" | null>(null);
  /** Grows with each change, so that the field loads the key again. */
  const [round, setRound] = useState(0);
  const done = (what: string): void => {
    toast("done", what);
    setOpenDialog(null);
    setRound(round + 1);
  };
  return (
    <section class="stack" aria-label={t`Stardust’s SSH key`}>
      <SectionHead title={t`Stardust’s SSH key`} text={t`A way to add servers over SSH without entering a key or password.`} />
      <HubKeyField
        key={round}
        actions={
          <div class="row">
            <Button slim onClick={() => setOpenDialog("replace")}>{t`Replace…`}</Button>
            <Button slim kind="danger" onClick={() => setOpenDialog("remove")}>{t`Remove…`}</Button>
          </div>
        }
      />
      {openDialog === "replace" && (
        <Typed
          name={NAME}
          title={t`Replace Stardust’s SSH key`}
          text={t`The present key is destroyed. Stardust can sign in again once each server has the new line in authorized_keys.`}
          button={t`Replace`}
          onClose={() => setOpenDialog(null)}
          act={async () => {
            await withStrictStepUp(() => createHubKey(true), t`Enter your password to replace Stardust’s SSH key.`);
            done(t`The SSH key was replaced`);
          }}
        />
      )}
      {openDialog === "remove" && (
        <Typed
          name={NAME}
          title={t`Remove Stardust’s SSH key`}
          text={t`The key is destroyed. Stardust then removes or redeploys those servers through their connection, or with credentials that you enter. The lines in authorized_keys stay.`}
          button={t`Remove`}
          onClose={() => setOpenDialog(null)}
          act={async () => {
            await withStrictStepUp(removeHubKey, t`Enter your password to remove Stardust’s SSH key.`);
            done(t`The SSH key was removed`);
          }}
        />
      )}
    </section>
  );
}
