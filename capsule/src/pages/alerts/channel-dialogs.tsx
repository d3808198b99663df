/** Dialogs that add or change a channel. The hub never sends the target of a channel back. */

import { useState } from "preact/hooks";
import { targetComplete, targetError, targetFields, targetOf, type TargetField } from "../../core/alerts/channel-form";
import { t } from "../../core/text";
import { addChannel, editChannel, loadKinds } from "../../state/alert-calls";
import { manyOrganisations } from "../../state/organisation";
import type { ApiError, ChannelBody, ChannelView } from "../../state/types";
import { Failure, Loading, SecretField, TextField } from "../../ui";
import { Check, SelectField } from "../../ui/form";
import { FormDialog } from "../form-dialog";
import { ownZone } from "./schedule-fields";
import { useAnswer } from "../use-answer";

type Severity = NonNullable<ChannelBody["min_severity"]>;
type Hours = NonNullable<ChannelBody["quiet_hours"]>;

const SEVERITIES: [string, string][] = [
  ["warning", t`Warnings and critical alerts`],
  ["critical", t`Critical alerts only`],
  ["info", t`Everything, also events`],
];
/** The hub's names for choices in words. */
const CHOICES: Readonly<Record<string, string>> = {
  starttls: t`begins without, then encrypted (STARTTLS, port 587)`,
  implicit: t`from the beginning (TLS, port 465)`,
  none: t`none`,
};
/** Keeps the browser from filling in a stored password. */
const SECRET_INPUT = { autocomplete: "new-password" };

function TargetFields({
  fields,
  typed,
  onType,
}: {
  fields: readonly TargetField[];
  typed: Readonly<Record<string, string>>;
  onType: (path: string, text: string) => void;
}) {
  return (
    <>
      {fields.map((field) => {
        const { path, label, hint, required, otherwise } = field;
        const value = typed[path] ?? "";
        const more = required ? hint : hint || t`optional`;
        if (field.kind === "choice")
          return (
            <SelectField
              key={path}
              label={label}
              hint={hint}
              value={value}
              onPick={(text) => onType(path, text)}
              options={[["", t`by the port`], ...field.choices.map((choice): [string, string] => [choice, CHOICES[choice] ?? choice])]}
            />
          );
        const Kind = field.secret ? SecretField : TextField;
        return (
          <Kind
            key={path}
            label={label}
            hint={more}
            wrong={targetError(field, value)}
            value={value}
            onText={(text) => onType(path, text)}
            input={{
              ...(field.secret ? SECRET_INPUT : { autocomplete: "off" }),
              spellcheck: false,
              autocapitalize: "off",
              placeholder: otherwise,
              required,
              ...(field.kind === "number" ? { inputmode: "numeric" } : {}),
            }}
          />
        );
      })}
    </>
  );
}

interface WhenProps {
  severity: Severity;
  onSeverity: (severity: Severity) => void;
  hours: Hours | null;
  onHours: (hours: Hours | null) => void;
}

/** The fields for which alerts are sent, and at what times. */
function WhenFields({ severity, onSeverity, hours, onHours }: WhenProps) {
  return (
    <>
      <SelectField label={t`What is sent`} value={severity} onPick={(next) => onSeverity(next as Severity)} options={SEVERITIES} />
      <Check
        checked={hours !== null}
        onCheck={(on) => onHours(on ? { start: "22:00", end: "07:00", zone: ownZone(), critical_too: false } : null)}
      >
        {t`Quiet hours: warnings wait until they end`}
      </Check>
      {hours && (
        <div class="stack">
          <div class="number-fields">
            <TextField
              label={t`From`}
              type="time"
              value={hours.start}
              onText={(start) => onHours({ ...hours, start })}
              input={{ required: true }}
            />
            <TextField
              label={t`Until`}
              type="time"
              value={hours.end}
              onText={(end) => onHours({ ...hours, end })}
              input={{ required: true }}
            />
            <TextField
              label={t`Time zone`}
              value={hours.zone}
              onText={(zone) => onHours({ ...hours, zone })}
              code
              input={{ required: true, maxLength: 64 }}
            />
          </div>
          <Check checked={hours.critical_too ?? false} onCheck={(critical_too) => onHours({ ...hours, critical_too })}>
            {t`Critical alerts wait too`}
          </Check>
        </div>
      )}
    </>
  );
}

/** Shown until the kinds of channels are loaded, which say what fields a target has. */
function KindsPending({ failure, onRetry }: { failure: ApiError | null; onRetry: () => void }) {
  return failure ? (
    <Failure title={t`The kinds of channels could not be read`} error={failure} onRetry={onRetry} />
  ) : (
    <Loading rows={3} what={t`the kinds of channels`} onRetry={onRetry} />
  );
}

export function AddChannel({ onClose, onMade }: { onClose: () => void; onMade: (channel: ChannelView) => void }) {
  const { found: kinds, failure, load } = useAnswer(loadKinds);
  const [kind, setKind] = useState<ChannelBody["kind"]>("email");
  const [name, setName] = useState("");
  const [typed, setTyped] = useState<Readonly<Record<string, string>>>({});
  const [severity, setSeverity] = useState<Severity>("warning");
  const [hours, setHours] = useState<Hours | null>(null);
  const chosen = kinds?.find((one) => one.kind === kind);
  const fields = targetFields(chosen?.target ?? {});
  const ready = kinds !== null && name.trim() !== "" && targetComplete(fields, typed);
  const save = async (): Promise<void> =>
    onMade(await addChannel({ kind, name: name.trim(), target: targetOf(fields, typed), min_severity: severity, quiet_hours: hours }));
  return (
    <FormDialog
      title={t`Add channel`}
      icon="send"
      submit={t`Add channel`}
      ready={ready}
      onSave={save}
      done={[t`${name.trim()} was added`, t`Test it, to see whether a message arrives.`]}
      onClose={onClose}
    >
      {!kinds && <KindsPending failure={failure} onRetry={load} />}
      {kinds && (
        <>
          <SelectField
            label={t`Kind`}
            hint={chosen?.hint}
            value={kind}
            onPick={(next) => {
              setKind(next as ChannelBody["kind"]);
              setTyped({});
            }}
            options={kinds.map((one) => [one.kind, one.title])}
          />
          <TextField
            label={t`Name`}
            value={name}
            onText={setName}
            input={{ maxLength: 100, placeholder: t`such as Ops by mail`, required: true }}
          />
          <TargetFields fields={fields} typed={typed} onType={(path, text) => setTyped({ ...typed, [path]: text })} />
          <WhenFields severity={severity} onSeverity={setSeverity} hours={hours} onHours={setHours} />
        </>
      )}
    </FormDialog>
  );
}

export function EditChannel({
  channel,
  onClose,
  onChanged,
}: {
  channel: ChannelView;
  onClose: () => void;
  onChanged: (channel: ChannelView) => void;
}) {
  const { found: kinds, failure, load } = useAnswer(loadKinds);
  const [name, setName] = useState(channel.name);
  const [retarget, setRetarget] = useState(false);
  const [typed, setTyped] = useState<Readonly<Record<string, string>>>({});
  const [severity, setSeverity] = useState<Severity>(channel.min_severity);
  const [hours, setHours] = useState<Hours | null>(channel.quiet_hours);
  const [instance, setInstance] = useState(channel.instance);
  const mark = instance === channel.instance ? {} : { instance };
  const fields = targetFields(kinds?.find((one) => one.kind === channel.kind)?.target ?? {});
  const ready = name.trim() !== "" && (!retarget || (kinds !== null && targetComplete(fields, typed)));
  const target = retarget ? { target: targetOf(fields, typed) } : {};
  const save = async (): Promise<void> =>
    onChanged(await editChannel(channel.id, { name: name.trim(), min_severity: severity, quiet_hours: hours, ...mark, ...target }));
  return (
    <FormDialog
      title={t`Edit ${channel.name}`}
      icon="send"
      submit={t`Save`}
      ready={ready}
      onSave={save}
      done={[t`${name.trim()} was changed`]}
      onClose={onClose}
    >
      <TextField label={t`Name`} value={name} onText={setName} input={{ maxLength: 100, required: true, autofocus: true }} />
      <WhenFields severity={severity} onSeverity={setSeverity} hours={hours} onHours={setHours} />
      {instance !== null && manyOrganisations.value && (
        <Check checked={instance} onCheck={setInstance}>
          {t`Also what is wrong with the hub itself: its disk, backup, clock, audit log`}
        </Check>
      )}
      <Check checked={retarget} onCheck={setRetarget}>
        {t`Change the target; the present one is ${channel.target_masked}`}
      </Check>
      {retarget && !kinds && <KindsPending failure={failure} onRetry={load} />}
      {retarget && <TargetFields fields={fields} typed={typed} onType={(path, text) => setTyped({ ...typed, [path]: text })} />}
      {retarget && <p class="t3 meta">{t`The old receiver is notified of the change.`}</p>}
    </FormDialog>
  );
}
