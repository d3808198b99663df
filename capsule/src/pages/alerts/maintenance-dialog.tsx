import { useState } from "preact/hooks";
import { DAYS, type Day } from "../../core/alerts/schedule-text";
import { t } from "../../core/text";
import { localDatetime, parseLocalDatetime } from "../../core/text/local-datetime";
import { addMaintenance } from "../../state/alert-calls";
import { hubNow } from "../../state/clock";
import { reloadQuiet } from "../../state/quiet";
import { user } from "../../state/session";
import type { MaintenanceBody } from "../../state/types";
import { Segmented, TextField } from "../../ui";
import { SelectField } from "../../ui/form";
import { NodesField } from "../nodes-field";
import { FormDialog } from "../form-dialog";
import { DaysField, ownZone, TimeField, ZoneField } from "./schedule-fields";

const LENGTHS: [string, string][] = [
  ["1800", t`30 min`],
  ["3600", t`1 hour`],
  ["7200", t`2 hours`],
  ["14400", t`4 hours`],
  ["28800", t`8 hours`],
  ["86400", t`1 day`],
];
type Kind = "for" | "until" | "weekly";

/** `nodes`: the ids that are chosen at first. */
export function MaintenanceDialog({
  nodes = [],
  onClose,
  onMade,
}: {
  nodes?: readonly string[];
  onClose: () => void;
  onMade?: () => void;
}) {
  const [select, setSelect] = useState<{ nodes: string[]; tags: string[] } | null>({ nodes: [...nodes], tags: [] });
  const [kind, setKind] = useState<Kind>("for");
  const [lengthS, setLengthS] = useState("3600");
  const [until, setUntil] = useState(() => localDatetime(hubNow() + 7200).slice(0, 16));
  const [days, setDays] = useState<Day[]>([DAYS[6]]);
  const [start, setStart] = useState("22:00");
  const [finish, setFinish] = useState("02:00");
  const [zone, setZone] = useState(ownZone);
  const [reason, setReason] = useState("");
  const untilAt = kind === "for" ? hubNow() + Number(lengthS) : parseLocalDatetime(until, NaN);
  const ready =
    (!select || select.nodes.length + select.tags.length > 0) && (kind === "weekly" ? days.length > 0 : Number.isFinite(untilAt));
  const when: Partial<MaintenanceBody> = kind === "weekly" ? { weekly: { days, start, end: finish }, zone } : { until_at: untilAt };
  const save = async (): Promise<void> => {
    await addMaintenance({ select: select ?? { all: true }, reason: reason.trim(), ...when });
    onMade?.();
    void reloadQuiet();
  };
  return (
    <FormDialog
      title={t`Open maintenance`}
      icon="wrench"
      submit={kind === "weekly" ? t`Plan maintenance` : t`Open maintenance`}
      ready={ready}
      onSave={save}
      done={[kind === "weekly" ? t`The maintenance was planned` : t`The maintenance is open`]}
      onClose={onClose}
    >
      <NodesField
        label={t`Servers`}
        value={select}
        onChange={setSelect}
        every={user.value?.limited ? t`All my servers` : t`Every server`}
      />
      <Segmented<Kind>
        label={t`When`}
        value={kind}
        onPick={setKind}
        options={[
          { key: "for", label: t`Now, for a while` },
          { key: "until", label: t`Now, until` },
          { key: "weekly", label: t`Every week` },
        ]}
      />
      {kind === "for" && <SelectField label={t`For`} value={lengthS} onPick={setLengthS} options={LENGTHS} />}
      {kind === "until" && <TextField label={t`Until`} type="datetime-local" value={until} onText={setUntil} input={{ required: true }} />}
      {kind === "weekly" && (
        <>
          <DaysField days={days} onDays={setDays} />
          <div class="number-fields">
            <TimeField label={t`From`} value={start} onText={setStart} />
            <TimeField label={t`Until`} value={finish} onText={setFinish} />
            <ZoneField value={zone} onText={setZone} />
          </div>
        </>
      )}
      <TextField label={t`Why`} value={reason} onText={setReason} hint={t`Optional. Others see it.`} input={{ maxLength: 200 }} />
    </FormDialog>
  );
}
