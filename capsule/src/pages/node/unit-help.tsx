/** Jobs for units of systemd: buttons, and a dialog that asks first or shows the lines that the policy lacks. */

import { useState } from "preact/hooks";
import { actionLabel } from "../../core/jobs/job-labels";
import { splitUnits } from "../../core/nodes/units";
import { plural, t } from "../../core/text";
import { newIdempotencyKey, submitJob } from "../../state/job-detail";
import { mayAct } from "../../state/session";
import type { JobBody, NodeView } from "../../state/types";
import { Button } from "../../ui";
import { CopyButton } from "../../ui/copy";
import { Dialog, Foot } from "../../ui/dialog";
import { startJob } from "../jobs/submit/start-job";
import { UnitJournal } from "./unit-journal";

export const UNIT_WORDS: Readonly<Record<string, string>> = {
  "unit-start": t`Start`,
  "unit-stop": t`Stop`,
  "unit-restart": t`Restart`,
  "unit-reload": t`Reload`,
};

export interface UnitHelpProps {
  view: NodeView;
  units: readonly string[];
  verb?: string;
  /** The button's text; by default the label of the verb. */
  label?: string;
  slim?: boolean;
  /** Whether to offer the last log lines of the first unit as well, if the policy allows them. */
  lines?: boolean;
}

/** Buttons for a message about units; nothing if the user may not act or the node is not connected. */
export function UnitHelp({ view, units, verb = "unit-restart", label, slim = true, lines = false }: UnitHelpProps) {
  const [open, setOpen] = useState<"" | "order" | "lines">("");
  const { allowed, refused } = splitUnits(view.policy, verb, units);
  const close = (): void => setOpen("");
  const [first] = units;
  if (!mayAct.value || view.state !== "online" || first === undefined) return null;
  return (
    <>
      {(allowed.length > 0 || refused.length > 0) && (
        <Button slim={slim} onClick={() => setOpen("order")}>
          {allowed.length ? (label ?? t`${UNIT_WORDS[verb] ?? verb}…`) : t`Why not?`}
        </Button>
      )}
      {lines && view.policy !== null && view.policy.journal !== "off" && (
        <Button slim={slim} onClick={() => setOpen("lines")}>
          {t`Last 200 lines`}
        </Button>
      )}
      {open === "order" && <ConfirmUnits view={view} units={units} verb={verb} onClose={close} />}
      {open === "lines" && <UnitJournal view={view} unit={first} onClose={close} />}
    </>
  );
}

/** Starts a job for units. */
export function submitUnitJob(view: NodeView, units: string[], verb: string): Promise<void> {
  const key = newIdempotencyKey();
  return startJob(`${actionLabel(verb)}: ${units.join(", ")}, ${view.name}`, () =>
    submitJob(view.id, { action: verb as JobBody["action"], units }, key),
  );
}

/** The dialog before a job for units: says what the job does, and which units the policy does not allow. */
export function ConfirmUnits({
  view,
  units,
  verb,
  onClose,
}: {
  view: NodeView;
  units: readonly string[];
  verb: string;
  onClose: () => void;
}) {
  const word = UNIT_WORDS[verb] ?? verb;
  const { allowed, refused, lines } = splitUnits(view.policy, verb, units);
  const start = (): void => {
    onClose();
    void submitUnitJob(view, allowed, verb);
  };
  const named = allowed.length ? allowed : refused;
  return (
    <Dialog
      title={named.length === 1 ? `${word} ${named[0] ?? ""}` : `${word} ${plural(named.length, "unit")}`}
      subtitle={view.name}
      size="narrow"
      onClose={onClose}
    >
      <div class="body">
        {allowed.length > 0 && <p>{consequence(verb, allowed, view.name)}</p>}
        {refused.length > 0 && <PolicyLines view={view} refused={refused} lines={lines} />}
      </div>
      <Foot onClose={onClose} focused {...(allowed.length ? {} : { out: t`Close` })}>
        {refused.length > 0 && <CopyButton slim={false} text={() => lines.join("\n")} />}
        {allowed.length > 0 && (
          <Button kind={verb === "unit-stop" ? "danger" : "primary"} onClick={start}>
            {word}
          </Button>
        )}
      </Foot>
    </Dialog>
  );
}

/** Says what the owner of the server must change in the policy. */
export function PolicyLines({ view, refused, lines }: { view: NodeView; refused: readonly string[]; lines: readonly string[] }) {
  return (
    <>
      <p>{t`The policy of ${view.name} does not allow this for ${refused.join(", ")}. Its owner changes that on the server, in policy.conf (in /etc/stardust where the agent was installed):`}</p>
      <pre class="mono policy-lines">{lines.join("\n")}</pre>
    </>
  );
}

function consequence(verb: string, units: readonly string[], node: string): string {
  const names = units.join(", ");
  const one = units.length === 1;
  switch (verb) {
    case "unit-stop":
      return one
        ? t`${names} is stopped on ${node}. What it serves is unavailable until it is started again. A socket, a timer or another unit may start it by itself.`
        : t`${names} are stopped on ${node}. What they serve is unavailable until they are started again. A socket, a timer or another unit may start them by itself.`;
    case "unit-start":
      return one
        ? t`${names} is started on ${node}. If it does not start, the job says so.`
        : t`${names} are started on ${node}. If one does not start, the job says so.`;
    case "unit-reload":
      return one ? t`${names} reads its configuration again on ${node}.` : t`${names} read their configuration again on ${node}.`;
    default:
      return one
        ? t`${names} is stopped and started again on ${node}. Connections to it may end, and what it serves is unavailable for a moment. If it does not start, the job says so.`
        : t`${names} are stopped and started again on ${node}. Connections to them may end, and what they serve is unavailable for a moment. If one does not start, the job says so.`;
  }
}
