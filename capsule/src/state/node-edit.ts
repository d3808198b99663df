/** Edits a node in its current state, not in that when the dialog opened: changes of other users are kept. */

import { t } from "../core/text/i18n";
import { call } from "../wire/http";
import type { NodePatch, NodeView } from "../wire/schema.gen";
import { patchNode } from "./fleet";
import { withStepUp } from "./step-up";

export interface Edit {
  before: NodeView;
  after: NodeView;
}

/** `change` returns the patch, or null for none. It is called again after the password was asked for. */
export const editNode = (id: string, change: (now: NodeView) => NodePatch | null): Promise<Edit | null> =>
  withStepUp(async () => {
    const before = await call<NodeView>("GET", `nodes/${id}`);
    const patch = change(before);
    return patch && { before, after: await patchNode(id, patch) };
  }, t`Enter your password to change a node.`);
