import { useState } from "preact/hooks";
import { DAYS, type Day } from "../../core/alerts/schedule-text";
import { t } from "../../core/text";
import { addExpectation, editExpectation } from "../../state/alert-calls";
import type { ExpectationBody, ExpectationView } from "../../state/types";
import { TextField } from "../../ui";
import { SelectField } from "../../ui/form";
import { NodesField } from "../nodes-field";
import { FormDialog } from "../form-dialog";
import { HowToReport } from "./how-to-report";
import { DaysField, ownZone, TimeField, ZoneField } from "./schedule-fields";

const SEVERITIES: [string, string][] = [
  ["critical", t`Critical`],
  ["warning", t`Warning`],
];
const GRACES: [string, string][] = [
  ["0", t`none`],
  ["900", t`15 min`],
  ["1800", t`30 min`],
  ["3600", t`1 hour`],
  ["7200", t`2 hours`],
];

const firstDraft = (deadline: ExpectationView | undefined): ExpectationBody & { days: Day[] } => ({
  name: deadline?.name ?? "",
  select: deadline?.select ?? { all: true },
  event: deadline?.event ?? "backup_completed",
  by: deadline?.by ?? "06:00",
  from: deadline?.from ?? "00:00",
  zone: deadline?.zone ?? ownZone(),
  days: deadline?.days ?? [...DAYS],
  grace_s: deadline?.grace_s ?? 900,
  severity: deadline?.severity ?? "critical",
});

export function DeadlineDialog({
  deadline,
  onClose,
  onSaved,
}: {
  deadline?: ExpectationView;
  onClose: () => void;
  onSaved: (saved: ExpectationView) => void;
}) {
  const [draft, setDraft] = useState(() => firstDraft(deadline));
  const change = (part: Partial<typeof draft>): void => setDraft({ ...draft, ...part });
  const { all = false, tags = [], nodes = [] } = draft.select;
  const ready = draft.name.trim() !== "" && draft.event.trim() !== "" && draft.days.length > 0 && (all || tags.length + nodes.length > 0);
  const body = { ...draft, name: draft.name.trim(), event: draft.event.trim() };
  const save = async (): Promise<void> => onSaved(deadline ? await editExpectation(deadline.id, body) : await addExpectation(body));
  const graces = GRACES.some(([seconds]) => Number(seconds) === draft.grace_s)
    ? GRACES
    : [...GRACES, [String(draft.grace_s), t`${draft.grace_s ?? 0} s`] as [string, string]];
  return (
    <FormDialog
      title={deadline ? t`Edit ${deadline.name}` : t`Add deadline`}
      icon="calendar-clock"
      submit={deadline ? t`Save` : t`Add deadline`}
      ready={ready}
      onSave={save}
      done={[deadline ? t`${body.name} was changed` : t`${body.name} was added`]}
      onClose={onClose}
    >
      <TextField
        label={t`Name`}
        value={draft.name}
        onText={(name) => change({ name })}
        input={{ maxLength: 80, placeholder: t`such as Nightly backup`, required: true, autofocus: true }}
      />
      <TextField
        label={t`Event`}
        hint={t`A type of event, such as backup_completed, or the name of an event of your own.`}
        value={draft.event}
        onText={(event) => change({ event })}
        code
        input={{ maxLength: 64, required: true }}
      />
      <HowToReport event={draft.event.trim()} />
      <NodesField
        label={t`Servers`}
        value={all ? null : { tags, nodes }}
        onChange={(chosen) => change({ select: chosen ?? { all: true } })}
        every={t`Every server`}
      />
      <div class="number-fields">
        <TimeField label={t`Not before`} value={draft.from ?? "00:00"} onText={(from) => change({ from })} />
        <TimeField label={t`By`} value={draft.by} onText={(by) => change({ by })} />
        <ZoneField value={draft.zone} onText={(zone) => change({ zone })} />
      </div>
      <DaysField days={draft.days} onDays={(days) => change({ days })} />
      <div class="number-fields">
        <SelectField
          label={t`Grace`}
          value={String(draft.grace_s)}
          onPick={(seconds) => change({ grace_s: Number(seconds) })}
          options={graces}
        />
        <SelectField
          label={t`A missed one is`}
          value={draft.severity ?? "critical"}
          onPick={(severity) => change({ severity: severity as "warning" })}
          options={SEVERITIES}
        />
      </div>
    </FormDialog>
  );
}
