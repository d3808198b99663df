import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { hasFieldError } from "../../core/rollouts/policy-fields";
import { t } from "../../core/text";
import { addWindow, beginNow } from "../../state/rollouts";
import { user } from "../../state/session";
import type { PatchPolicyBody, WindowView } from "../../state/types";
import { TextField } from "../../ui";
import { FormDialog } from "../form-dialog";
import { ownZone, TimeField } from "../alerts/schedule-fields";
import { NodesField } from "../nodes-field";
import { PatchZoneField, WhenField } from "./when-field";

interface Chosen {
  tags: string[];
  nodes: string[];
}

const NO_NODE: Chosen | null = { tags: [], nodes: [] };

/** The first choice of servers: null = every one, which is refused to a user with rights on some. */
const everyNode = (): Chosen | null => (user.value?.limited ? NO_NODE : null);

interface NowProps {
  kind: "freeze" | "open";
  onClose: () => void;
  onSaved: (saved: WindowView) => void;
}

/** Freezes from this moment until somebody ends it, or opens windows from this moment for some hours. */
export function NowDialog({ kind, onClose, onSaved }: NowProps): VNode {
  const freeze = kind === "freeze";
  const [chosen, setChosen] = useState(freeze ? everyNode() : NO_NODE);
  const [reason, setReason] = useState("");
  const [hours, setHours] = useState("1");
  const ready =
    reason.trim() !== "" &&
    (!chosen || chosen.tags.length + chosen.nodes.length > 0) &&
    (freeze || (Number(hours) > 0 && Number(hours) <= 24));
  const save = async (): Promise<void> =>
    onSaved(
      await beginNow({
        kind,
        select: chosen ?? { all: true },
        reason: reason.trim(),
        length_s: freeze ? 0 : Math.max(60, Math.round(Number(hours) * 3600)),
      }),
    );
  return (
    <FormDialog
      title={freeze ? t`Freeze all now` : t`Open windows now`}
      icon="lock"
      submit={freeze ? t`Freeze now` : t`Open now`}
      ready={ready}
      onSave={save}
      done={freeze ? [t`Frozen`, t`Nothing starts until you end it under Calendar.`] : [t`Opened`, t`It closes by itself.`]}
      onClose={onClose}
    >
      <p class="t3">
        {freeze
          ? t`From this moment no patch policy, roll-out or person upgrades or reboots these servers, until somebody ends the freeze. Jobs that run go to their end.`
          : t`Roll-outs may touch these servers now, although none of their windows is open. A freeze still beats it.`}
      </p>
      <TextField
        label={t`Why (the audit log keeps it)`}
        value={reason}
        onText={setReason}
        input={{ maxLength: 200, required: true, autocomplete: "off", autofocus: true }}
      />
      <NodesField label={t`Servers`} value={chosen} onChange={setChosen} every={t`Every server`} />
      {!freeze && (
        <TextField
          label={t`For how many hours`}
          type="number"
          value={hours}
          onText={setHours}
          input={{ min: 0.25, max: 24, step: 0.25, required: true }}
        />
      )}
    </FormDialog>
  );
}

interface Props {
  kind: "allow" | "freeze";
  onClose: () => void;
  onSaved: (saved: WindowView) => void;
}

export function WindowDialog({ kind, onClose, onSaved }: Props): VNode {
  const freeze = kind === "freeze";
  const [name, setName] = useState("");
  const [chosen, setChosen] = useState(everyNode);
  const [when, setWhen] = useState<PatchPolicyBody["when"]>(freeze ? { once: new Date().toISOString().slice(0, 10) } : { weekly: ["tue"] });
  const [start, setStart] = useState(freeze ? "00:00" : "02:00");
  const [hours, setHours] = useState(freeze ? "24" : "3");
  const [zone, setZone] = useState(ownZone);
  const ready =
    name.trim() !== "" &&
    Number(hours) > 0 &&
    !hasFieldError({ when, start, zone }) &&
    (!chosen || chosen.tags.length + chosen.nodes.length > 0);
  const save = async (): Promise<void> =>
    onSaved(
      await addWindow({
        name: name.trim(),
        kind,
        select: chosen ?? { all: true },
        start,
        length_s: Math.round(Number(hours) * 3600),
        zone,
        ...when,
      }),
    );
  return (
    <FormDialog
      title={freeze ? t`Add a freeze` : t`Add a window`}
      icon="calendar-clock"
      submit={freeze ? t`Freeze` : t`Add window`}
      ready={ready}
      onSave={save}
      done={[t`${name.trim()} was added`]}
      onClose={onClose}
    >
      <p class="t3">
        {freeze
          ? t`Nothing is upgraded and rebooted meanwhile: no patch policy, no roll-out, and no job by hand.`
          : t`Roll-outs touch these servers only while one of their windows is open.`}
      </p>
      <TextField
        label={t`Name`}
        value={name}
        onText={setName}
        input={{ maxLength: 80, required: true, autocomplete: "off", autofocus: true }}
      />
      <NodesField label={t`Servers`} value={chosen} onChange={setChosen} every={t`Every server`} />
      <WhenField value={when} onChange={setWhen} />
      <div class="number-fields">
        <TimeField label={t`From`} value={start} onText={setStart} />
        <TextField
          label={t`For how many hours`}
          type="number"
          value={hours}
          onText={setHours}
          input={{ min: 0.25, step: 0.25, required: true }}
        />
      </div>
      <PatchZoneField value={zone} onChange={setZone} />
    </FormDialog>
  );
}
