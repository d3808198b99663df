import { MAX_NODES } from "../../core/charts/compare";
import { plural, t } from "../../core/text";
import { showDialog, type OpenDialog } from "../../state/dialogs";
import { ids } from "../../state/fleet";
import { go } from "../../state/router";
import { picked, unpick } from "../../state/selection";
import { mayTag } from "../../state/session";
import { Button } from "../../ui";

/** The bar with actions for the selected nodes. They include nodes that the filter hides, so it shows the number of hidden nodes. */
export function SelectionBar({ groups }: { groups: readonly { ids: readonly string[] }[] }) {
  // Removed nodes do not count.
  const nodes = ids.value.filter((id) => picked.value.has(id));
  const listed = new Set(groups.flatMap((group) => group.ids));
  const hidden = nodes.filter((id) => !listed.has(id)).length;
  if (!nodes.length) return null;
  const open = (wanted: OpenDialog) => (): void => showDialog(wanted);
  return (
    <div class="selection card" role="region" aria-label={t`Selection`}>
      <b class="strong num" role="status">
        {hidden ? t`${plural(nodes.length, "node")} selected, ${hidden} hidden by the filter` : t`${plural(nodes.length, "node")} selected`}
      </b>
      <Button kind="primary" icon="package" onClick={open({ kind: "bulk-job", nodes, action: "upgrade" })}>
        {t`Upgrade…`}
      </Button>
      {nodes.length > 1 && (
        <Button kind="quiet" class="wide-only" onClick={open({ kind: "rollout", nodes, action: "upgrade" })}>
          {t`In waves…`}
        </Button>
      )}
      <Button kind="quiet" onClick={open({ kind: "bulk-job", nodes })}>
        {t`Run…`}
      </Button>
      {nodes.length > 1 && nodes.length <= MAX_NODES && (
        <Button kind="quiet" class="wide-only" onClick={() => go(`/compare?nodes=${nodes.join()}`)}>
          {t`Compare`}
        </Button>
      )}
      {mayTag.value && (
        <Button kind="quiet" icon="tag" onClick={open({ kind: "tags", nodes })}>
          {t`Tag…`}
        </Button>
      )}
      <Button kind="quiet" icon="pause" onClick={open({ kind: "maintenance", nodes })}>
        {t`Maintenance…`}
      </Button>
      <Button kind="quiet" class="widest-only" onClick={open({ kind: "redeploy-many", nodes })}>
        {t`Deploy again…`}
      </Button>
      <Button kind="quiet" class="danger" icon="trash-2" onClick={open({ kind: "forget", nodes })}>
        {t`Remove…`}
      </Button>
      <Button kind="quiet" name={t`Clear`} icon="x" onClick={unpick} />
    </div>
  );
}
