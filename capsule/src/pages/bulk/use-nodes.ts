import { useComputed } from "@preact/signals";
import { nodeSignal, rows } from "../../state/fleet";
import type { NodeView } from "../../state/types";

/** Those of these that are there, as they stand: drawn anew when one comes or goes, or when what `facts` names of one changes, and not with each value. */
export function useNodes(ids: readonly string[], facts: (node: NodeView) => readonly unknown[]): readonly NodeView[] {
  const there = (): NodeView[] => ids.flatMap((id) => nodeSignal(id)?.peek() ?? []);
  void useComputed(() => (rows.value, JSON.stringify(there().map((node) => [node.id, node.name, ...facts(node)])))).value;
  return there();
}
