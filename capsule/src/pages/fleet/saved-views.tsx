import { useState } from "preact/hooks";
import { t } from "../../core/text";
import { findView, withoutView, withView } from "../../core/nodes/saved-views";
import { closeDialog } from "../../state/dialogs";
import { preferences } from "../../state/preferences";
import { pageUrl } from "../../state/router";
import { toast } from "../../state/toasts";
import { ApiError, type SavedViewView } from "../../state/types";
import { editViews } from "../../state/views";
import { Button, TextField } from "../../ui";
import { Dialog, Foot } from "../../ui/dialog";
import { ActionError } from "../use-action";

/** Restores a removed view at its former position, unless a view of the same name was saved since. */
async function restoreView(before: readonly SavedViewView[], name: string): Promise<void> {
  const removed = findView(before, name);
  if (!removed) return;
  try {
    await editViews((there) => (findView(there, name) ? [...there] : withView(there, removed, before.indexOf(removed))));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast("fail", t`“${name}” could not be restored`, error.detail, { label: t`Try again`, run: () => void restoreView(before, name) });
  }
}

/** The dialog that saves the current filter, order and grouping under a name, and deletes saved views. */
export function SavedViewsDialog() {
  const [name, setName] = useState("");
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const query = pageUrl.value.path === "/" ? pageUrl.value.query.toString() : "";
  const { views } = preferences.value;
  const same = findView(views, name.trim());
  const write = async (edit: (views: readonly SavedViewView[]) => SavedViewView[]): Promise<readonly SavedViewView[] | null> => {
    setBusy(true);
    setWrong("");
    try {
      return await editViews(edit);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(error.detail);
      return null;
    } finally {
      setBusy(false);
    }
  };
  const save = async (): Promise<void> => {
    const made = { name: name.trim(), query };
    if (await write((there) => withView(there, made))) {
      closeDialog();
      toast("done", t`“${made.name}” was saved`, t`It is in the sidebar wherever you sign in.`);
    }
  };
  const drop = async ({ name: removed }: SavedViewView): Promise<void> => {
    const before = await write((there) => withoutView(there, removed));
    if (before) toast("done", t`“${removed}” was removed`, "", { label: t`Undo`, run: () => void restoreView(before, removed) });
  };
  return (
    <Dialog title={t`Saved views`} icon="filter" size="narrow" onClose={closeDialog}>
      <form
        class="sheet"
        onSubmit={(event) => {
          event.preventDefault();
          if (query && name.trim() && !busy) void save();
        }}
      >
        <div class="body">
          <ActionError text={wrong} />
          {query && (
            <TextField
              label={t`Name`}
              hint={same ? t`A view with this name exists. Saving replaces it.` : t`Saves the current filter, sort order and grouping.`}
              value={name}
              onText={setName}
              input={{ autofocus: true, maxLength: 60, required: true }}
            />
          )}
          {views.length > 0 && (
            <ul class="card rows-card" aria-label={t`Views`}>
              {views.map((view) => (
                <li key={view.name}>
                  <a class="grow cut medium" href={`/?${view.query}`} onClick={closeDialog}>
                    {view.name}
                  </a>
                  <Button slim acts kind="quiet" name={t`Remove ${view.name}`} icon="trash-2" onClick={() => void drop(view)} />
                </li>
              ))}
            </ul>
          )}
          {!query && !views.length && <p class="t2">{t`Filter, sort or group the fleet first. Then you can save it as a view.`}</p>}
        </div>
        <Foot out={t`Close`} onClose={closeDialog}>
          {query && (
            <Button kind="primary" type="submit" busy={busy} disabled={!name.trim()}>
              {same ? t`Replace` : t`Save`}
            </Button>
          )}
        </Foot>
      </form>
    </Dialog>
  );
}
