import type { VNode } from "preact";
import { t } from "../../core/say";
import { hide } from "../../state/dialogs";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { Skeletons } from "../../ui/parts";
import { useStage } from "../../ui/stage";

/** In the place of a dialog whose deployment is still being read: nothing for a moment, then that it comes, then a sentence. */
export function Opening({ title, onRetry }: { title: string; onRetry: () => void }): VNode | null {
  const stage = useStage();
  return stage ? (
    <Dialog title={title} icon="server" onClose={hide}>
      <div class="body" role="group" aria-busy="true" aria-label={t`Loading its steps`}>
        {stage === 2 && (
          <div class="row wrap" role="status">
            <p class="t2">{t`Loading ${t`its steps`} takes longer than usual.`}</p>
            <Button slim onClick={onRetry}>
              {t`Try again`}
            </Button>
          </div>
        )}
        <Skeletons rows={5} />
      </div>
    </Dialog>
  ) : null;
}
