import { useEffect, useRef, useState } from "preact/hooks";
import { nameError, tagsError } from "../../core/nodes/node-name";
import { rebaseTags, rebasePatch } from "../../core/nodes/tag-diff";
import { t, timeOrDate } from "../../core/text";
import { dayStart } from "../../state/clock";
import { showDialog } from "../../state/dialogs";
import { editNode, type Edit } from "../../state/node-edit";
import { nodeSignal } from "../../state/fleet";
import type { NodeDetail } from "../../state/node-detail";
import { mayAct, mayTag } from "../../state/session";
import { toast } from "../../state/toasts";
import { ApiError, type NodeView } from "../../state/types";
import { Button, Form, TextField } from "../../ui";
import { NodeTexts } from "./node-text";
import { TagsField } from "../../ui/form";
import { AgentSettings } from "./agent-settings";

interface UnsavedInput {
  name: string;
  tags: readonly string[];
  /** The view that the input changes. */
  seen: NodeView;
}

/** Unsaved input, stored while the node's page is open: a change of the tab removes the fields. */
const unsavedInput = new WeakMap<NodeDetail, UnsavedInput>();

export function NodeSettings({ detail, view }: { detail: NodeDetail; view: NodeView }) {
  return (
    <div class="settings wide">
      {mayAct.value && <Names detail={detail} view={view} />}
      {mayAct.value && <NodeTexts view={view} />}
      <section class="card" aria-label={t`About this node`}>
        <h2>{t`About this node`}</h2>
        <dl class="facts">
          <dt>{t`Address`}</dt>
          <dd>{view.address}</dd>
          <dt>{t`Host name`}</dt>
          <dd>{view.identity.hostname || "—"}</dd>
          <dt>{t`Architecture`}</dt>
          <dd>{[view.identity.architecture, view.identity.virtualization].filter(Boolean).join(", ") || "—"}</dd>
          <dt>{t`Package manager`}</dt>
          <dd>{view.identity.package_manager || "—"}</dd>
          <dt>{t`Addresses`}</dt>
          <dd>{view.identity.addresses.join(", ") || "—"}</dd>
          <dt>{t`Policy on the server`}</dt>
          <dd>{view.policy ? view.policy.mode : "—"}</dd>
          {view.units === "older" && (
            <>
              <dt>{t`Unit files`}</dt>
              <dd>{t`from an older release; updating the agent does not change them. Deploy the node again to get the new ones.`}</dd>
            </>
          )}
          <dt>{t`Credentials`}</dt>
          <dd>{view.credentials_kept ? t`stored, encrypted` : t`not stored`}</dd>
          <dt>{t`Added`}</dt>
          <dd>{timeOrDate(view.created_at, dayStart.value)}</dd>
        </dl>
      </section>
      {mayAct.value && <AgentSettings view={view} />}
      {mayAct.value && (
        <section class="card" aria-label={t`Remove`}>
          <h2>{t`Remove`}</h2>
          <p class="t2">{t`The agent is uninstalled from the server, and the node with its history is deleted here.`}</p>
          <div>
            <Button kind="danger" icon="trash-2" onClick={() => showDialog({ kind: "remove", node: view.id })}>
              {t`Remove node…`}
            </Button>
          </div>
        </section>
      )}
    </div>
  );
}

function Names({ detail, view }: { detail: NodeDetail; view: NodeView }) {
  const [left] = useState<UnsavedInput>(() => unsavedInput.get(detail) ?? { name: view.name, tags: view.tags, seen: view });
  const [name, setName] = useState(left.name);
  const [tags, setTags] = useState(left.tags);
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const seen = useRef(left.seen);
  const latest = useRef({ name, tags });
  latest.current = { name, tags };
  useEffect(() => () => void unsavedInput.set(detail, { ...latest.current, seen: seen.current }), []);
  // Shows changes of other users, and applies the changes of this user to them.
  useEffect(() => {
    const before = seen.current;
    seen.current = view;
    setName((typed) => (typed === before.name ? view.name : typed));
    setTags((chosen) => rebaseTags(view.tags, before.tags, chosen) ?? view.tags);
  }, [view.name, view.tags.join()]);
  const changed = name.trim() !== view.name || tags.join() !== view.tags.join();
  const fault = nameError(name);
  const ready = changed && name.trim() !== "" && !fault && !tagsError(tags);
  const save = async (): Promise<void> => {
    if (!ready || busy) return;
    setBusy(true);
    setWrong("");
    const wanted = { name: name.trim(), tags };
    try {
      // A name that this user changed is saved even if another user has changed it since.
      const edit = await editNode(view.id, (now) =>
        rebasePatch(now, { name: wanted.name === view.name ? view.name : now.name, tags: view.tags }, wanted),
      );
      if (!edit) return;
      setTags(edit.after.tags);
      // The live view may have a newer name than the answer.
      setName((typed) => (typed.trim() === wanted.name ? (nodeSignal(view.id)?.peek().name ?? typed) : typed));
      toast("done", t`Saved`, edit.after.name, { label: t`Undo`, run: () => void undo(edit) });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(error.detail);
    } finally {
      setBusy(false);
    }
  };
  /** Reverts an edit, and keeps later changes of other users. */
  const undo = async (edit: Edit): Promise<void> => {
    try {
      const back = await editNode(view.id, (now) => rebasePatch(now, edit.after, edit.before));
      if (!back) return void toast("done", t`Nothing to undo`, view.name);
      setName(back.after.name);
      setTags(back.after.tags);
      toast("done", t`Undone`, back.after.name);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      toast("fail", t`It could not be undone`, error.detail, { label: t`Retry`, run: () => void undo(edit) });
    }
  };
  return (
    <section class="card" aria-label={mayTag.value ? t`Name and tags` : t`Name`}>
      <h2>{mayTag.value ? t`Name and tags` : t`Name`}</h2>
      <Form class="stack" onSubmit={() => void save()}>
        <TextField label={t`Name in Stardust`} value={name} onText={setName} wrong={fault || wrong} code input={{ required: true }} />
        {mayTag.value ? (
          <TagsField label={t`Tags`} tags={tags} onTags={setTags} />
        ) : (
          view.tags.length > 0 && (
            <p class="t2">{t`Tags: ${view.tags.join(", ")}. Access depends on tags, so only someone with access to every node can change them.`}</p>
          )
        )}
        <div>
          <Button kind="primary" type="submit" busy={busy} disabled={!ready}>
            {t`Save`}
          </Button>
        </div>
      </Form>
    </section>
  );
}
