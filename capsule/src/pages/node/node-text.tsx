import { useEffect, useId, useState } from "preact/hooks";
import { t } from "../../core/text";
import { patchNode } from "../../state/fleet";
import { toast } from "../../state/toasts";
import type { NodeView } from "../../state/types";
import type { NodePatch } from "../../wire/schema.gen";
import { Button, FieldNote, Form, TextField } from "../../ui";
import { useAction } from "../use-action";

interface Props {
  view: NodeView;
  title: string;
  label: string;
  hint?: string;
  /** The words of the button, for the text in the field. */
  save: (text: string) => string;
  /** The stored text of a node. */
  stored: (node: NodeView) => string;
  patch: (text: string) => NodePatch;
  long?: boolean;
}

/** The form for one text of a node. A change by another user is shown, unless this user has changed the text. */
function NodeText({ view, title, label, hint, save, stored: storedOf, patch, long = false }: Props) {
  const stored = storedOf(view);
  const [seen, setSeen] = useState(stored);
  const [text, setText] = useState(stored);
  const act = useAction();
  useEffect(() => {
    setSeen(stored);
    setText((typed) => (typed === seen ? stored : typed));
  }, [stored]);
  const same = text.trim() === stored;
  const send = async (): Promise<void> => {
    setText(storedOf(await patchNode(view.id, patch(text.trim()))));
    toast("done", t`Saved`, view.name);
  };
  return (
    <section class="card" aria-label={title}>
      <h2>{title}</h2>
      <Form class="stack" onSubmit={() => void (!same && act.run(send))}>
        {long ? (
          <LongField label={label} value={text} onText={setText} wrong={act.refusal} />
        ) : (
          <TextField label={label} value={text} onText={setText} wrong={act.refusal} hint={hint} />
        )}
        <div>
          <Button kind="primary" type="submit" busy={act.busy} disabled={same}>
            {save(text.trim())}
          </Button>
        </div>
      </Form>
    </section>
  );
}

interface LongProps {
  label: string;
  value: string;
  onText: (text: string) => void;
  wrong: string;
}

function LongField({ label, value, onText, wrong }: LongProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea
        id={id}
        class="input"
        rows={3}
        value={value}
        aria-invalid={wrong ? true : undefined}
        aria-describedby={wrong ? `${id}-wrong` : undefined}
        onInput={(event) => onText(event.currentTarget.value)}
      />
      <FieldNote id={id} hint="" wrong={wrong} />
    </div>
  );
}

const locationSetHere = (node: NodeView): string => (node.location?.by === "user" ? node.location.location : "");

/** The forms for the texts that people write about a node. */
export function NodeTexts({ view }: { view: NodeView }) {
  const found = view.location;
  const mark = view.never_by_schedule;
  return (
    <>
      <NodeText
        view={view}
        title={t`Note`}
        label={t`Shown to everybody who sees this node`}
        save={() => t`Set note`}
        stored={({ note }) => note}
        patch={(note) => ({ note })}
        long
      />
      <NodeText
        view={view}
        title={t`Location`}
        label={t`Where this node is`}
        hint={
          found?.by === "node"
            ? t`Empty: ${found.location}, as the node says.`
            : found?.by === "name"
              ? t`Empty: ${found.location}, by the node's name.`
              : t`Such as cloud, home or work. Empty: as the node or its name says.`
        }
        save={() => t`Set location`}
        stored={locationSetHere}
        patch={(location) => ({ location })}
      />
      <NodeText
        view={view}
        title={t`Never by a schedule`}
        label={t`Why no patch policy may touch it`}
        hint={
          mark
            ? t`No patch policy touches it, says ${mark.by}. Empty: they do again.`
            : t`With a reason here, no patch policy touches it. Empty: they do.`
        }
        save={(text) => (mark && !text ? t`Take the mark away` : t`Set the mark`)}
        stored={(node) => node.never_by_schedule?.reason ?? ""}
        patch={(reason) => ({ never_by_schedule: reason })}
      />
    </>
  );
}
