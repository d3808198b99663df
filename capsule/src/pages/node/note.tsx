import type { VNode } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { t } from "../../core/text/i18n";
import { patchNode } from "../../state/fleet";
import { toast } from "../../state/toasts";
import { ApiError, type NodeView } from "../../state/types";
import { Button } from "../../ui/button";
import { FieldNote } from "../../ui/field";

/** The form for the note at the top of the node's page. A change by another user is shown, unless this user has changed the text. */
export function NodeNote({ view }: { view: NodeView }): VNode {
  const id = useId();
  const [seen, setSeen] = useState(view.note);
  const [text, setText] = useState(view.note);
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    setSeen(view.note);
    setText((typed) => (typed === seen ? view.note : typed));
  }, [view.note]);
  const save = async (): Promise<void> => {
    setBusy(true);
    setWrong("");
    try {
      const { note } = await patchNode(view.id, { note: text });
      setText(note);
      toast("done", t`Saved`, view.name);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(error.detail);
    } finally {
      setBusy(false);
    }
  };
  return (
    <section class="card" aria-label={t`Note`}>
      <h2>{t`Note`}</h2>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (!busy && text.trim() !== view.note) void save();
        }}
      >
        <div class="field">
          <label for={id}>{t`Shown to everybody who sees this node`}</label>
          <textarea
            id={id}
            class="input"
            rows={3}
            value={text}
            aria-invalid={wrong ? true : undefined}
            aria-describedby={wrong ? `${id}-wrong` : undefined}
            onInput={(event) => setText(event.currentTarget.value)}
          />
          <FieldNote id={id} hint="" wrong={wrong} />
        </div>
        <div>
          <Button kind="primary" type="submit" busy={busy} disabled={text.trim() === view.note}>
            {t`Set note`}
          </Button>
        </div>
      </form>
    </section>
  );
}
