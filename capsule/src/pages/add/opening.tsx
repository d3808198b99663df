import type { VNode } from "preact";
import { t } from "../../core/say";
import { hide } from "../../state/dialogs";
import { Dialog } from "../../ui/dialog";
import { Skeletons } from "../../ui/parts";
import { useStage } from "../../ui/stage";

/** In the place of a dialog whose deployment is still being read: nothing for a moment, then that it comes. */
export function Opening({ title }: { title: string }): VNode | null {
  return useStage() ? (
    <Dialog title={title} icon="server" onClose={hide}>
      <div class="body" role="group" aria-busy="true" aria-label={t`Loading its steps`}>
        <Skeletons rows={5} />
      </div>
    </Dialog>
  ) : null;
}
