import { t } from "../../core/text";
import { nodeLabel } from "../../state/node-label";

const MOST = 5;

/** Links to the nodes of an incident. Without nodes, the incident is about the hub itself. */
export function NodeLinks({ nodes }: { nodes: readonly string[] }) {
  if (!nodes.length) return <span>{t`Ground Control`}</span>;
  return (
    <span>
      {nodes.slice(0, MOST).map((id, index) => (
        <span key={id}>
          {index > 0 && ", "}
          <a class="accent" href={`/n/${id}`}>
            {nodeLabel(id)}
          </a>
        </span>
      ))}
      {nodes.length > MOST && ` ${t`and ${nodes.length - MOST} more`}`}
    </span>
  );
}
