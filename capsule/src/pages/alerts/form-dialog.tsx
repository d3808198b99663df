/** A dialog with one form: a refusal above the fields, and one button that saves. */

import type { ComponentChildren, VNode } from "preact";
import { toast } from "../../state/toasts";
import { Button } from "../../ui/button";
import { Dialog, Foot } from "../../ui/dialog";
import type { IconName } from "../../ui/icon";
import { ActionError, useAction } from "../use-action";

interface Props {
  title: string;
  icon: IconName;
  /** The words of the button. */
  submit: string;
  /** Whether the fields can be saved. */
  ready: boolean;
  /** Sends the request. If the hub refuses, the dialog stays open. */
  onSave: () => Promise<unknown>;
  /** Title and text of the toast after saving. */
  done: [title: string, text?: string];
  onClose: () => void;
  children: ComponentChildren;
}

export function FormDialog({ title, icon, submit, ready, onSave, done, onClose, children }: Props): VNode {
  const act = useAction();
  const end = act.dialogProps(onClose);
  const save = async (): Promise<void> => {
    if (!ready) return;
    const saved = await act.run(async () => {
      await onSave();
    });
    if (!saved) return;
    toast("done", ...done);
    onClose();
  };
  return (
    <Dialog title={title} icon={icon} onClose={end.onClose}>
      <form
        autocomplete="off"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <div class="body">
          <ActionError text={act.refusal} />
          {children}
        </div>
        <Foot {...end}>
          <Button kind="primary" type="submit" busy={act.busy} disabled={!ready}>
            {submit}
          </Button>
        </Foot>
      </form>
    </Dialog>
  );
}
