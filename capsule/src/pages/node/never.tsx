import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "../../core/text/i18n";
import { patchNode } from "../../state/fleet";
import { toast } from "../../state/toasts";
import { ApiError, type NodeView } from "../../state/types";
import { Button } from "../../ui/button";
import { TextField } from "../../ui/field";

/** The form for the mark that keeps patch policies off a node. A change by another user is shown, unless this user has changed the text. */
export function NodeNever({ view }: { view: NodeView }): VNode {
  const stored = view.never_by_schedule?.reason ?? "";
  const [seen, setSeen] = useState(stored);
  const [text, setText] = useState(stored);
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    setSeen(stored);
    setText((typed) => (typed === seen ? stored : typed));
  }, [stored]);
  const save = async (): Promise<void> => {
    setBusy(true);
    setWrong("");
    try {
      setText((await patchNode(view.id, { never_by_schedule: text.trim() })).never_by_schedule?.reason ?? "");
      toast("done", t`Saved`, view.name);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(error.detail);
    } finally {
      setBusy(false);
    }
  };
  const hint = view.never_by_schedule
    ? t`No patch policy touches it, says ${view.never_by_schedule.by}. Empty: they do again.`
    : t`With a reason here, no patch policy touches it. Empty: they do.`;
  return (
    <section class="card" aria-label={t`Never by a schedule`}>
      <h2>{t`Never by a schedule`}</h2>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (!busy && text.trim() !== stored) void save();
        }}
      >
        <TextField
          label={t`Why no patch policy may touch it`}
          value={text}
          onText={setText}
          wrong={wrong}
          hint={hint}
          input={{ autocomplete: "off" }}
        />
        <div>
          <Button kind="primary" type="submit" busy={busy} disabled={text.trim() === stored}>
            {stored && !text.trim() ? t`Take the mark away` : t`Set the mark`}
          </Button>
        </div>
      </form>
    </section>
  );
}
