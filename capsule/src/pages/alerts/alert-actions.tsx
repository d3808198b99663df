/** The dialog that acknowledges alerts with a note, and the button that snoozes them. */

import { useState } from "preact/hooks";
import { tomorrow } from "../../core/alerts/alert-text";
import { plural, t, timeOrDate } from "../../core/text";
import { acknowledge, snooze } from "../../state/alert-calls";
import { forEachLimited, concernsUser } from "../../state/bulk";
import { hubNow, now } from "../../state/clock";
import { toast } from "../../state/toasts";
import type { AlertView } from "../../state/types";
import { Icon, MenuButton, TextField } from "../../ui";
import { FormDialog } from "../form-dialog";

const MAX_NOTE = 500;
const HOUR_S = 3600;

export function AcknowledgeDialog({ alerts, onClose, onDone }: { alerts: readonly AlertView[]; onClose: () => void; onDone: () => void }) {
  const [note, setNote] = useState("");
  const [first] = alerts;
  const title = alerts.length === 1 && first ? [first.rule_name, first.object].filter(Boolean).join(" ") : plural(alerts.length, "alert");
  return (
    <FormDialog
      title={t`Acknowledge`}
      subtitle={title}
      icon="check"
      size="narrow"
      submit={t`Acknowledge`}
      onSave={async () => {
        await acknowledge(
          alerts.map(({ id }) => id),
          note.trim(),
        );
        onDone();
      }}
      onClose={onClose}
    >
      <TextField
        label={t`Note`}
        hint={t`Others see it. The alert is not repeated any more; if it becomes critical, a new message is sent.`}
        value={note}
        onText={setNote}
        input={{ maxLength: MAX_NOTE, placeholder: t`optional`, autofocus: true }}
      />
    </FormDialog>
  );
}

/** Runs an action for each alert and reports the result as a toast. Returns whether all succeeded. */
async function runEach(
  alerts: readonly AlertView[],
  act: (alert: AlertView) => Promise<void>,
  title: string,
  undo?: () => void,
): Promise<boolean> {
  const { done, failed } = await forEachLimited(alerts, 1, act, {
    stopIf: (soFar) => soFar.failed.some(({ error }) => concernsUser(error)),
  });
  const [first] = failed;
  if (!first) toast("done", title, "", undo && { label: t`Undo`, run: undo });
  else toast("fail", done.length ? t`Not done for ${plural(alerts.length - done.length, "alert")}` : t`Not done`, first.error.detail);
  return !first;
}

const endSnooze = (alerts: readonly AlertView[]): Promise<boolean> => runEach(alerts, ({ id }) => snooze(id, null), t`No longer snoozed`);
/** Gives alerts the snoozes that they had when they were read. */
const restoreSnooze = (alerts: readonly AlertView[]): Promise<boolean> =>
  runEach(alerts, ({ id, flags }) => snooze(id, flags.snoozed_until), t`Undone`);

export function SnoozeButton({ alerts, slim = false, onDone }: { alerts: readonly AlertView[]; slim?: boolean; onDone?: () => void }) {
  const snoozeUntil = async (until: number): Promise<void> => {
    if (
      await runEach(
        alerts,
        ({ id }) => snooze(id, until),
        t`Snoozed until ${timeOrDate(until, hubNow())}`,
        () => void restoreSnooze(alerts),
      )
    )
      onDone?.();
  };
  const snoozed = alerts.filter(({ flags }) => flags.snoozed_until !== null && flags.snoozed_until > now.value);
  const [first] = alerts;
  const label =
    alerts.length === 1 && first
      ? t`Snooze ${[first.rule_name, first.object].filter(Boolean).join(" ")}`
      : t`Snooze ${plural(alerts.length, "alert")}`;
  return (
    <MenuButton
      label={label}
      class={slim ? "slim" : ""}
      groups={[
        [
          { label: t`1 hour`, icon: "bell-off", acts: true, run: () => void snoozeUntil(hubNow() + HOUR_S) },
          { label: t`8 hours`, icon: "bell-off", acts: true, run: () => void snoozeUntil(hubNow() + 8 * HOUR_S) },
          { label: t`Until tomorrow, 08:00`, icon: "bell-off", acts: true, run: () => void snoozeUntil(tomorrow(hubNow())) },
        ],
        snoozed.length ? [{ label: t`End the snooze`, icon: "bell", acts: true, run: () => void endSnooze(snoozed) }] : [],
      ]}
    >
      <Icon name="bell-off" size="small" />
      <span>{t`Snooze`}</span>
      <Icon name="chevron-down" size="small" />
    </MenuButton>
  );
}
