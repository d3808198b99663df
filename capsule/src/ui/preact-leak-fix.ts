/**
 * Releases old vnodes.
 *
 * Preact leaves a replaced vnode linked to its children, and they lead to newer vnodes. Without this module, one old vnode that is still
 * referenced keeps all later vnodes in memory: a page with 500 nodes grew by 50 MB an hour.
 */

import { options, type VNode } from "preact";

/** Private names of Preact, on which its own hooks and signals rely as well. */
interface RenderedNode extends VNode {
  __c?: ComponentInstance | null;
  __k?: unknown;
}
/** A component. `drawn`, its newest vnode, is a field and not in a table: the garbage collector would scan a table in every run. */
interface ComponentInstance {
  drawn?: RenderedNode;
}
interface Hooks {
  diffed?: (vnode: RenderedNode) => void;
  /** Called when one rendering is complete. */
  __c?: (root: RenderedNode, queue: unknown) => void;
}

const hooks = options as Hooks;
const { diffed, __c: committed } = hooks;
let replaced: RenderedNode[] = [];

hooks.diffed = (vnode): void => {
  diffed?.(vnode);
  const part = vnode.__c;
  if (!part) return;
  if (part.drawn && part.drawn !== vnode) replaced.push(part.drawn);
  part.drawn = vnode;
};

hooks.__c = (root, queue): void => {
  committed?.(root, queue);
  for (const vnode of replaced) vnode.__k = null;
  replaced = [];
};
