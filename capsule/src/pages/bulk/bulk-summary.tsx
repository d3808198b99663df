import { useState } from "preact/hooks";
import { t } from "../../core/text";
import { Button, Glyph, type GlyphKind } from "../../ui";
import { Dialog, Foot } from "../../ui/dialog";
import { ConfirmName } from "../../ui/form";
import { ActionError, useAction } from "../use-action";

interface BulkSummaryProps<G extends string> {
  mark: GlyphKind;
  words: string;
  ended: number;
  total: number;
  groups: readonly { key: G; words: string; mark: GlyphKind; count: number }[];
  only: G | null;
  onOnly: (key: G | null) => void;
}

/** The progress of a batch: in one word, as a bar, and as groups by which the user can filter. */
export function BulkSummary<G extends string>({ mark, words, ended, total, groups, only, onOnly }: BulkSummaryProps<G>) {
  return (
    <section class="card job-sum" aria-label={t`State`}>
      <div class="row wrap">
        <Glyph kind={mark} size="large" label="" />
        <b class="strong" role="status">
          {words}
        </b>
        <span class="grow" />
        <span class="t3 num">{t`${ended} of ${total} ended`}</span>
      </div>
      <div class="progress parts" role="progressbar" aria-label={t`Ended`} aria-valuemin={0} aria-valuemax={total} aria-valuenow={ended}>
        {groups
          .filter(({ mark: of }) => of !== "run" && of !== "wait")
          .map(({ key, mark: of, count }) => (
            <i key={key} class={of} style={{ width: `${total ? (count / total) * 100 : 0}%` }} />
          ))}
      </div>
      <div class="row wrap" role="group" aria-label={t`Show only`}>
        {groups
          .filter(({ key, count }) => count > 0 || key === only)
          .map((group) => (
            <button
              key={group.key}
              type="button"
              class="chip"
              aria-pressed={only === group.key}
              onClick={() => onOnly(only === group.key ? null : group.key)}
            >
              <Glyph kind={group.mark} label="" />
              <span class="num">{group.count}</span> {group.words}
            </button>
          ))}
      </div>
    </section>
  );
}

interface StopProps {
  title: string;
  text: string;
  button: string;
  count: number;
  act: () => Promise<void>;
  onClose: () => void;
}

/** The dialog that stops many jobs. The user types their number. */
export function StopBulkDialog({ title, text, button, count, act: stop, onClose }: StopProps) {
  const [typed, setTyped] = useState("");
  const act = useAction();
  return (
    <Dialog title={title} size="narrow" onClose={onClose}>
      <div class="body">
        <ActionError text={act.refusal} />
        <p class="t2">{text}</p>
        <ConfirmName name={String(count)} value={typed} onText={setTyped} />
      </div>
      <Foot out={t`Keep going`} focused onClose={onClose}>
        <Button kind="destroy" busy={act.busy} disabled={typed !== String(count)} onClick={() => void act.run(stop)}>
          {button}
        </Button>
      </Foot>
    </Dialog>
  );
}
