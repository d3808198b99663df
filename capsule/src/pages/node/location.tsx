import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "../../core/text/i18n";
import { patchNode } from "../../state/fleet";
import { toast } from "../../state/toasts";
import { ApiError, type NodeView } from "../../state/types";
import { Button } from "../../ui/button";
import { TextField } from "../../ui/field";

const setHere = (view: NodeView): string => (view.location?.by === "user" ? view.location.location : "");

/** The form for the node's location. A change by another user is shown, unless this user has changed the text. */
export function NodeLocation({ view }: { view: NodeView }): VNode {
  const stored = setHere(view);
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
      setText(setHere(await patchNode(view.id, { location: text })));
      toast("done", t`Saved`, view.name);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(error.detail);
    } finally {
      setBusy(false);
    }
  };
  const other =
    view.location?.by === "node"
      ? t`Empty: ${view.location.location}, as the node says.`
      : view.location?.by === "name"
        ? t`Empty: ${view.location.location}, by the node's name.`
        : t`Such as cloud, home or work. Empty: as the node or its name says.`;
  return (
    <section class="card" aria-label={t`Location`}>
      <h2>{t`Location`}</h2>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (!busy && text.trim() !== stored) void save();
        }}
      >
        <TextField label={t`Where this node is`} value={text} onText={setText} wrong={wrong} hint={other} input={{ autocomplete: "off" }} />
        <div>
          <Button kind="primary" type="submit" busy={busy} disabled={text.trim() === stored}>
            {t`Set location`}
          </Button>
        </div>
      </form>
    </section>
  );
}
