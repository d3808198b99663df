import { useComputed } from "@preact/signals";
import { nodeSignal, rows } from "../../state/fleet";
import type { NodeView } from "../../state/types";

/** The existing nodes of these ids. It redraws when a node appears or disappears, or when a field of `facts` changes, not with each value. */
export function useNodes(ids: readonly string[], facts: (node: NodeView) => readonly unknown[]): readonly NodeView[] {
  const there = (): NodeView[] => ids.flatMap((id) => nodeSignal(id)?.peek() ?? []);
  void useComputed(() => (rows.value, JSON.stringify(there().map((node) => [node.id, node.name, ...facts(node)])))).value;
  return there();
}
