import { useComputed } from "@preact/signals";
import { nodeSignal, rows } from "../../state/fleet";
import type { NodeView } from "../../state/types";

/** The existing nodes of these ids. The view redraws when a node appears, disappears or is renamed, or when one of `fields` changes. */
export function useNodes(ids: readonly string[], fields: (node: NodeView) => readonly unknown[]): readonly NodeView[] {
  const there = (): NodeView[] => ids.flatMap((id) => nodeSignal(id)?.peek() ?? []);
  void useComputed(() => (rows.value, JSON.stringify(there().map((node) => [node.id, node.name, ...fields(node)])))).value;
  return there();
}
