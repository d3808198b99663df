import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { t } from "../../core/say";
import { hide } from "../../state/dialogs";
import { preferences, savePreferences } from "../../state/preferences";
import { place } from "../../state/router";
import { toast } from "../../state/toasts";
import { ApiError, type SavedViewView } from "../../state/types";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { TextField } from "../../ui/field";
import { Glyph } from "../../ui/glyph";
import { Banner } from "../../ui/parts";

/** Gives the filter, order and grouping that are shown a name; takes names away again. */
export function ViewsDialog(): VNode {
  const [name, setName] = useState("");
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const query = place.value.path === "/" ? place.value.query.toString() : "";
  const { views } = preferences.value;
  const same = views.find((view) => view.name.toLowerCase() === name.trim().toLowerCase());
  const write = async (next: readonly SavedViewView[]): Promise<boolean> => {
    setBusy(true);
    setWrong("");
    try {
      await savePreferences({ views: [...next] });
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(error.detail);
      return false;
    } finally {
      setBusy(false);
    }
  };
  const save = async (): Promise<void> => {
    const made = { name: name.trim(), query };
    if (await write(same ? views.map((view) => (view === same ? made : view)) : [...views, made])) {
      hide();
      toast("done", t`“${made.name}” was saved`, t`It stands in the sidebar, wherever you log in.`);
    }
  };
  const drop = async (gone: SavedViewView): Promise<void> => {
    const before = views;
    if (await write(views.filter((view) => view !== gone))) toast("done", t`“${gone.name}” was removed`, "", { label: t`Undo`, run: () => void savePreferences({ views: [...before] }) });
  };
  return (
    <Dialog title={t`Saved views`} icon="filter" size="narrow" onClose={hide}>
      <form
        class="sheet"
        onSubmit={(event) => {
          event.preventDefault();
          if (query && name.trim() && !busy) void save();
        }}
      >
        <div class="body">
          {wrong && (
            <Banner kind="crit" alert mark={<Glyph kind="fail" label="" />}>
              {wrong}
            </Banner>
          )}
          {query && <TextField label={t`Name`} hint={same ? t`A view of this name is there: it is replaced.` : t`The filter, the order and the groups that are shown now.`} value={name} onText={setName} input={{ autofocus: true, maxLength: 60, autocomplete: "off", required: true }} />}
          {views.length > 0 && (
            <ul class="card rows-card" aria-label={t`Views`}>
              {views.map((view) => (
                <li key={view.name}>
                  <a class="grow cut medium" href={`/?${view.query}`} onClick={hide}>
                    {view.name}
                  </a>
                  <Button slim kind="quiet" name={t`Remove ${view.name}`} icon="trash-2" onClick={() => void drop(view)} />
                </li>
              ))}
            </ul>
          )}
          {!query && !views.length && <p class="t2">{t`Filter, sort or group the fleet first; then it can be kept under a name.`}</p>}
        </div>
        <footer>
          <Button class="end" onClick={hide}>
            {t`Close`}
          </Button>
          {query && (
            <Button kind="primary" type="submit" busy={busy} disabled={!name.trim()}>
              {same ? t`Replace` : t`Save`}
            </Button>
          )}
        </footer>
      </form>
    </Dialog>
  );
}
