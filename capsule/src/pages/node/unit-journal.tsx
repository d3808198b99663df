/** The dialog with the last lines of a unit's journal. */

import { useEffect, useRef, useState } from "preact/hooks";
import { clock, date, plural, sameDay, t } from "../../core/text";
import { dayStart } from "../../state/clock";
import { readUnitJournal, type JournalLevel } from "../../state/queries";
import { ApiError, type NodeView, type UnitJournalView } from "../../state/types";
import { Button, Failure, Loading, Segmented } from "../../ui";
import { CopyButton } from "../../ui/copy";
import { Dialog, Foot } from "../../ui/dialog";

const ERROR = 3;
const WARNING = 4;
const LEVELS: readonly { key: JournalLevel; label: string }[] = [
  { key: "all", label: t`All lines` },
  { key: "warning", label: t`Warnings` },
];

/** The server reads the lines when the dialog opens. The hub does not store them. */
export function UnitJournal({ view, unit, onClose }: { view: NodeView; unit: string; onClose: () => void }) {
  const [found, setFound] = useState<UnitJournalView | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const [level, setLevel] = useState<JournalLevel>("all");
  const unmounted = useRef(false);
  const wanted = useRef(level);
  wanted.current = level;
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => () => void (unmounted.current = true), []);
  const load = async (): Promise<void> => {
    setBusy(true);
    try {
      const read = await readUnitJournal(view.id, unit, level);
      if (unmounted.current || wanted.current !== level) return;
      setFound(read);
      setFailure(null);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!unmounted.current && wanted.current === level) setFailure(error);
    } finally {
      if (!unmounted.current && wanted.current === level) setBusy(false);
    }
  };
  useEffect(() => void load(), [unit, level]);
  // The newest line is last.
  useEffect(() => end.current?.scrollTo({ top: end.current.scrollHeight }), [found]);
  const stamp = (at: number): string => (sameDay(at, dayStart.value) ? "" : `${date(at, dayStart.value)}, `) + clock(at);
  return (
    <Dialog title={t`Last lines of ${unit}`} subtitle={view.name} size="wide" onClose={onClose}>
      {failure ? (
        <Failure title={t`The journal could not be read`} error={failure} onRetry={() => void load()} />
      ) : !found ? (
        <Loading what={t`the journal`} onRetry={() => void load()} />
      ) : (
        <>
          <p class="pad t3 meta">
            {found.lines.length ? t`${plural(found.lines.length, "line")}.` : t`The journal has no line of this unit.`}
            {found.level === "warning" &&
              ` ${view.policy?.journal === "all" ? t`Warnings and worse.` : t`The owner of this server shows warnings and worse only; journal = all in its policy.conf shows all lines.`}`}
            {found.left_out > 0 && ` ${t`${plural(found.left_out, "older line")} did not fit.`}`} {t`Read just now, and stored nowhere.`}
          </p>
          <div class="facts-scroll unit-lines mono" role="log" aria-label={t`Lines of ${unit}`} tabIndex={0} ref={end}>
            {found.lines.map((line, index) => (
              <div key={index} class={line.priority <= ERROR ? "crit" : line.priority === WARNING ? "warn" : ""}>
                <span class="t3">{stamp(line.at)}</span> {line.text}
              </div>
            ))}
          </div>
        </>
      )}
      <Foot onClose={onClose} out={t`Close`}>
        {view.policy?.journal === "all" && <Segmented label={t`Lines`} value={level} options={LEVELS} onPick={setLevel} />}
        {found && <CopyButton text={() => found.lines.map((line) => `${stamp(line.at)} ${line.text}`).join("\n")} />}
        <Button icon="refresh-cw" busy={busy} onClick={() => void load()}>
          {t`Read again`}
        </Button>
      </Foot>
    </Dialog>
  );
}
