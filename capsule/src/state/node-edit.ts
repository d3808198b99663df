/** A node changed by what it is at that moment, not when somebody began: what others made of it meanwhile stays. */

import { call } from "../wire/http";
import type { NodePatch, NodeView } from "../wire/schema.gen";
import { patchNode } from "./fleet";
import { withStepUp } from "./step-up";

export interface Edit {
  before: NodeView;
  after: NodeView;
}

/** `change` says what is to be written, or null; then nothing is. Where the password is wanted first, it is asked once more afterwards. */
export const editNode = (id: string, change: (now: NodeView) => NodePatch | null): Promise<Edit | null> =>
  withStepUp(async () => {
    const before = await call<NodeView>("GET", `nodes/${id}`);
    const patch = change(before);
    return patch && { before, after: await patchNode(id, patch) };
  });
