import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { REBOOTS } from "../../core/rollouts/rollout-text";
import { plural, t } from "../../core/text";
import { createRollout } from "../../state/rollouts";
import { go } from "../../state/router";
import type { RolloutBody } from "../../state/types";
import { TextField } from "../../ui";
import { SelectField } from "../../ui/form";
import { FormDialog } from "../form-dialog";

type Action = NonNullable<RolloutBody["action"]>;

const ACTIONS: [Action, string][] = [
  ["security-upgrade", t`security updates`],
  ["upgrade", t`all updates`],
  ["full-upgrade", t`all updates, with removals that they need`],
];

/** Makes a one-off roll-out. Its page then shows the plan of each server, and asks once more before anything changes. */
export function RolloutDialog({ nodes, action, onClose }: { nodes: readonly string[]; action: Action; onClose: () => void }): VNode {
  const [name, setName] = useState(() => t`Upgrade of ${nodes.length} servers`);
  const [chosen, setChosen] = useState<Action>(action);
  const [reboot, setReboot] = useState<NonNullable<RolloutBody["reboot"]>>("if_required");
  const [key] = useState(() => crypto.randomUUID());
  const make = async (): Promise<void> => {
    const { id } = await createRollout({ name: name.trim(), action: chosen, reboot, select: { nodes: [...nodes] } }, key);
    go(`/rollout/${id}`);
    onClose();
  };
  return (
    <FormDialog
      title={t`Roll out in waves`}
      icon="layout-grid"
      submit={t`Plan ${plural(nodes.length, "server")}`}
      ready={name.trim() !== ""}
      refused={t`No roll-out was made`}
      onSave={make}
      onClose={onClose}
    >
      <p>{t`A few servers first. They are watched, and the others follow only if they stay well. Now each server is planned, and nothing changes yet.`}</p>
      <TextField label={t`Name`} value={name} onText={setName} input={{ maxLength: 80, required: true }} />
      <SelectField label={t`Install`} value={chosen} onPick={(picked) => setChosen(picked as Action)} options={ACTIONS} />
      <SelectField label={t`Reboot`} value={reboot} onPick={(picked) => setReboot(picked as "never")} options={Object.entries(REBOOTS)} />
    </FormDialog>
  );
}
