import { t } from "../../core/text";
import { closeDialog } from "../../state/dialogs";
import { Button, Skeletons } from "../../ui";
import { Dialog } from "../../ui/dialog";
import { useLoadingStage } from "../../ui/use-loading-stage";

/** A placeholder for the dialog of a deployment that is loading: nothing at first, then a skeleton, then a sentence as well. */
export function LoadingDialog({ title, onRetry }: { title: string; onRetry: () => void }) {
  const stage = useLoadingStage();
  return stage ? (
    <Dialog title={title} icon="server" onClose={closeDialog}>
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
