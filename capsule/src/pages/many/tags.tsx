import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { retagged, tagCounts } from "../../core/retag";
import { t } from "../../core/say";
import { plural } from "../../core/units";
import { hide } from "../../state/dialogs";
import { each } from "../../state/each";
import { nodeSignal, patchNode } from "../../state/fleet";
import { toast } from "../../state/toasts";
import { Button } from "../../ui/button";
import { Check, TagsField } from "../../ui/form";
import { Dialog } from "../../ui/dialog";

const AT_ONCE = 4;
const MOST_TAGS = 40;

interface Change {
  id: string;
  before: readonly string[];
  after: readonly string[];
}

/** Writes the tags; what went through can be taken back, what did not can be tried again. */
async function write(changes: readonly Change[], what: (nodes: string) => string): Promise<void> {
  const { done, failed } = await each(changes, AT_ONCE, ({ id, after }) => patchNode(id, { tags: [...after] }));
  if (done.length) {
    const back = done.map(({ id, before, after }) => ({ id, before: after, after: before }));
    toast("done", what(plural(done.length, "node")), "", { label: t`Undo`, run: () => void write(back, (nodes) => t`Tags are as before on ${nodes}`) });
  }
  if (failed[0]) toast("fail", t`${plural(failed.length, "node")} not changed`, failed[0].error.detail, { label: t`Retry`, run: () => void write(failed.map(({ one }) => one), what) });
}

/** Adds and takes tags of several nodes; undone by one press. */
export function TagsDialog({ nodes }: { nodes: readonly string[] }): VNode {
  const [views] = useState(() => nodes.flatMap((id) => nodeSignal(id)?.peek() ?? []));
  const [add, setAdd] = useState<string[]>([]);
  const [remove, setRemove] = useState<readonly string[]>([]);
  const changes = views.flatMap(({ id, tags }) => {
    const after = retagged(tags, add, remove);
    return after ? [{ id, before: tags, after }] : [];
  });
  const there = tagCounts(views);
  return (
    <Dialog title={t`Tag ${plural(views.length, "node")}`} icon="tag" size="narrow" onClose={hide}>
      <form
        class="sheet"
        onSubmit={(event) => {
          event.preventDefault();
          if (!changes.length) return;
          hide();
          void write(changes, (nodes) => t`Tags changed on ${nodes}`);
        }}
      >
        <div class="body">
          <TagsField label={t`Add`} tags={add} onTags={setAdd} />
          {there.length > 0 && (
            <fieldset class="choice">
              <legend class="label">{t`Take away`}</legend>
              {there.slice(0, MOST_TAGS).map(([tag, count]) => (
                <Check key={tag} checked={remove.includes(tag)} onCheck={(on) => setRemove(on ? [...remove, tag] : remove.filter((one) => one !== tag))}>
                  {tag} <span class="t3">{t`on ${count}`}</span>
                </Check>
              ))}
            </fieldset>
          )}
        </div>
        <footer>
          <Button class="end" onClick={hide}>
            {t`Cancel`}
          </Button>
          <Button kind="primary" type="submit" disabled={!changes.length}>
            {changes.length ? t`Change ${plural(changes.length, "node")}` : t`Change`}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
