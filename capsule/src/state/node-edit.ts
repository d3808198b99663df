/** Edits a node's current view, not the view of when the dialog opened, so that changes of other users are kept. */

import { t } from "../core/text";
import { call } from "../wire/http";
import type { NodePatch, NodeView } from "../wire/schema.gen";
import { patchNode } from "./fleet";
import { withStrictStepUp } from "./step-up";

export interface Edit {
  before: NodeView;
  after: NodeView;
}

/** `change` returns the patch for the current view, or null for no change. It is called again after the user has entered the password. */
export const editNode = (id: string, change: (now: NodeView) => NodePatch | null) =>
  withStrictStepUp(async () => {
    const before = await call("GET", `nodes/${id}`);
    const patch = change(before);
    return patch && { before, after: await patchNode(id, patch) };
  }, t`Enter your password to change a node.`);
