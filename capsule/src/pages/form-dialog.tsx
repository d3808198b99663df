/** A dialog with one form: a refusal above the fields, and one button that sends it. */

import type { ComponentChildren } from "preact";
import { toast } from "../state/toasts";
import { Button, Form, type IconName } from "../ui";
import { Dialog, Foot } from "../ui/dialog";
import { ActionError, useAction } from "./use-action";

interface Props {
  title: string;
  subtitle?: string;
  icon?: IconName;
  size?: "" | "wide" | "narrow";
  /** The words of the button. */
  submit: string;
  /** Whether the fields can be sent. */
  ready?: boolean;
  /** The kind of the button, if it confirms a question: then no Enter presses it, because the closing button has the focus. */
  kind?: "primary" | "destroy" | undefined;
  /** The title of the toast, if the hub refuses after the dialog was closed. */
  refused?: string;
  /** Sends the request. If the hub refuses, or this answers false, the dialog stays open. */
  onSave: () => Promise<unknown>;
  /** Title and text of the toast after saving, which closes the dialog; without it `onSave` says and closes. */
  done?: [title: string, text?: string];
  onClose: () => void;
  children: ComponentChildren;
}

export function FormDialog({ title, submit, ready = true, kind, refused, onSave, done, onClose, children, ...head }: Props) {
  const act = useAction(refused);
  const end = act.dialogProps(onClose);
  const save = async (): Promise<void> => {
    if (!ready) return;
    let kept = false;
    const sent = await act.run(async () => {
      kept = (await onSave()) === false;
    });
    if (!sent || kept || !done) return;
    toast("done", ...done);
    onClose();
  };
  return (
    <Dialog title={title} {...head} onClose={end.onClose}>
      <Form autocomplete="off" onSubmit={() => void (!kind && save())}>
        <div class="body">
          <ActionError text={act.refusal} />
          {children}
        </div>
        <Foot focused={kind !== undefined} {...end}>
          <Button
            kind={kind ?? "primary"}
            type={kind ? "button" : "submit"}
            busy={act.busy}
            disabled={!ready}
            onClick={() => void (kind && save())}
          >
            {submit}
          </Button>
        </Foot>
      </Form>
    </Dialog>
  );
}
