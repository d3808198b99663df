import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { REBOOTS } from "../../core/rollouts/rollout-text";
import { t } from "../../core/text/i18n";
import { plural } from "../../core/text/units";
import { createRollout } from "../../state/rollouts";
import { go } from "../../state/router";
import type { RolloutBody } from "../../state/types";
import { Button } from "../../ui/button";
import { Dialog, Foot } from "../../ui/dialog";
import { TextField } from "../../ui/field";
import { SelectField } from "../../ui/form";
import { ActionError, useAction } from "../use-action";

type Action = NonNullable<RolloutBody["action"]>;

const ACTIONS: [Action, string][] = [
  ["security-upgrade", t`security updates`],
  ["upgrade", t`all updates`],
  ["full-upgrade", t`all updates, with removals that they need`],
];

/** Makes a one-off roll-out. Its page then shows the plan of each server, and asks once more before anything changes. */
export function RolloutDialog({ nodes, action, onClose }: { nodes: readonly string[]; action: Action; onClose: () => void }): VNode {
  const act = useAction(t`No roll-out was made`);
  const end = act.dialogProps(onClose);
  const [name, setName] = useState(() => t`Upgrade of ${nodes.length} servers`);
  const [chosen, setChosen] = useState<Action>(action);
  const [reboot, setReboot] = useState<NonNullable<RolloutBody["reboot"]>>("if_required");
  const [key] = useState(() => crypto.randomUUID());
  const make = async (): Promise<void> => {
    const made = await act.run(async () => {
      const { id } = await createRollout({ name: name.trim(), action: chosen, reboot, select: { nodes: [...nodes] } }, key);
      go(`/rollout/${id}`);
    });
    if (made) onClose();
  };
  return (
    <Dialog title={t`Roll out in waves`} icon="layout-grid" onClose={end.onClose}>
      <form
        autocomplete="off"
        onSubmit={(event) => {
          event.preventDefault();
          if (name.trim()) void make();
        }}
      >
        <div class="body">
          <ActionError text={act.refusal} />
          <p>{t`A few servers first. They are watched, and the others follow only if they stay well. Now each server is planned, and nothing changes yet.`}</p>
          <TextField label={t`Name`} value={name} onText={setName} input={{ maxLength: 80, required: true }} />
          <SelectField label={t`Install`} value={chosen} onPick={(picked) => setChosen(picked as Action)} options={ACTIONS} />
          <SelectField
            label={t`Reboot`}
            value={reboot}
            onPick={(picked) => setReboot(picked as "never")}
            options={Object.entries(REBOOTS)}
          />
        </div>
        <Foot {...end}>
          <Button kind="primary" type="submit" busy={act.busy} disabled={!name.trim()}>{t`Plan ${plural(nodes.length, "server")}`}</Button>
        </Foot>
      </form>
    </Dialog>
  );
}
