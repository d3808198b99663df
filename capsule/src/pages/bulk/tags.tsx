import { useState } from "preact/hooks";
import { listSome } from "../../core/jobs/batch";
import { rebaseTags, applyTagChange, tagCounts } from "../../core/nodes/tag-diff";
import { plural, t } from "../../core/text";
import { closeDialog } from "../../state/dialogs";
import { forEachLimited, concernsUser } from "../../state/bulk";
import { editNode, type Edit } from "../../state/node-edit";
import { dismiss, toast } from "../../state/toasts";
import type { NodeView } from "../../state/types";
import { Banner, Button, Form, Glyph } from "../../ui";
import { Dialog } from "../../ui/dialog";
import { Check, TagsField } from "../../ui/form";
import { useNodes } from "./use-nodes";
import { BulkRunEnd, useBulkRun } from "./use-bulk-run";

const AT_ONCE = 4;
const MOST_TAGS = 40;

/** The fields of a node on which this dialog depends. */
const propsOf = ({ tags }: NodeView): readonly unknown[] => [tags];

function offerUndo(what: string, edits: readonly Edit[]): void {
  if (edits.length) toast("done", what, "", { label: t`Undo`, run: () => void undo(edits) });
}

/** Reverts the additions and removals of these edits, and keeps later changes of other users. */
async function undo(edits: readonly Edit[]): Promise<void> {
  const note = toast("run", t`Undoing the tag change on ${plural(edits.length, "node")}`);
  const made: Edit[] = [];
  const take = async ({ before, after }: Edit): Promise<void> => {
    const edit = await editNode(after.id, (now) => {
      const tags = rebaseTags(now.tags, after.tags, before.tags);
      return tags && { tags };
    });
    if (edit) made.push(edit);
  };
  const { done, failed, left } = await forEachLimited(edits, AT_ONCE, take, {
    alone: true,
    stopIf: (soFar) => soFar.failed.some(({ error }) => concernsUser(error)),
  });
  dismiss(note);
  const what = t`Tag change undone on ${plural(done.length, "node")}`;
  if (made.length) offerUndo(what, made);
  else if (done.length) toast("done", what);
  if (failed[0]) {
    const rest = [...failed.map(({ one }) => one), ...left];
    toast("fail", t`${plural(rest.length, "node")} not changed`, failed[0].error.detail, { label: t`Retry`, run: () => void undo(rest) });
  }
}

/** The dialog that adds and removes tags of several nodes. A toast offers to undo the change. */
export function TagsDialog({ nodes }: { nodes: readonly string[] }) {
  const there = useNodes(nodes, propsOf);
  /** The nodes as they were at the start, while the change runs. */
  const [begun, setBegun] = useState<readonly NodeView[] | null>(null);
  const views = begun ?? there;
  const [add, setAdd] = useState<string[]>([]);
  const [remove, setRemove] = useState<readonly string[]>([]);
  const [total, setTotal] = useState(0);
  const [missed, setMissed] = useState<{ names: readonly string[]; why: string } | null>(null);
  const run = useBulkRun<NodeView>();
  const busy = run.through !== null;
  const wanted = views.filter(({ tags }) => applyTagChange(tags, add, remove));
  const changes = wanted.length;
  const present = tagCounts(views);
  const write = async (): Promise<void> => {
    const edits: Edit[] = [];
    setTotal(wanted.length);
    setBegun(views);
    setMissed(null);
    const { failed, left } = await run.start(wanted, AT_ONCE, async ({ id }) => {
      const edit = await editNode(id, (now) => {
        const tags = applyTagChange(now.tags, add, remove);
        return tags && { tags };
      });
      if (edit) edits.push(edit);
    });
    offerUndo(t`Tags changed on ${plural(edits.length, "node")}`, edits);
    const names = [...failed.map(({ one }) => one), ...left].map(({ name }) => name);
    const why = (failed[0] && failed[0].error.detail) ?? t`The change was stopped.`;
    if (run.isShown()) {
      if (!names.length) return closeDialog();
      setBegun(null);
      setMissed({ names, why });
    } else if (names.length) toast("fail", t`${plural(names.length, "node")} not changed`, why);
  };
  return (
    <Dialog title={t`Tag ${plural(views.length, "node")}`} icon="tag" size="narrow" onClose={busy ? run.stop : closeDialog}>
      <Form class="sheet" onSubmit={() => void (changes && !busy && write())}>
        <div class="body">
          {missed && (
            <Banner kind="crit" alert mark={<Glyph kind="fail" label="" />}>
              <b>{t`${plural(missed.names.length, "node")} not changed:`}</b>{" "}
              <span class="plain">
                {listSome(missed.names, 8)}. {missed.why}
              </span>
            </Banner>
          )}
          <TagsField label={t`Add`} focused tags={add} onTags={setAdd} />
          {present.length > 0 && (
            <fieldset class="choice">
              <legend class="label">{t`Remove`}</legend>
              {present.slice(0, MOST_TAGS).map(([tag, count]) => (
                <Check
                  key={tag}
                  checked={remove.includes(tag)}
                  onCheck={(on) => setRemove(on ? [...remove, tag] : remove.filter((one) => one !== tag))}
                >
                  {tag} <span class="t3">{t`on ${count}`}</span>
                </Check>
              ))}
            </fieldset>
          )}
        </div>
        <footer>
          <BulkRunEnd run={run} total={total} over={missed !== null} onClose={closeDialog} />
          <Button kind="primary" type="submit" busy={busy} disabled={!changes}>
            {changes ? t`Change ${plural(changes, "node")}` : t`Change`}
          </Button>
        </footer>
      </Form>
    </Dialog>
  );
}
