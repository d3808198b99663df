import type { VNode } from "preact";
import { t } from "../../core/say";
import { rows } from "../../state/fleet";
import { approveNode, rejectNode } from "../../state/invites";
import { Button } from "../../ui/button";
import { Glyph } from "../../ui/glyph";
import { Refusal, useAct } from "../settings/refusal";

/** Nodes that came with an organisation secret, and may do nothing until somebody lets them in. */
export function Waiting(): VNode | null {
  const waiting = rows.value.filter((row) => row.node.waiting).map((row) => row.node);
  if (!waiting.length) return null;
  return (
    <section class="card waiting" aria-label={t`Waiting for approval`}>
      {waiting.map((node) => (
        <One key={node.id} id={node.id} name={node.name} address={node.address} />
      ))}
    </section>
  );
}

function One({ id, name, address }: { id: string; name: string; address: string }): VNode {
  const act = useAct();
  return (
    <div>
      <div class="row wrap">
        <Glyph kind="wait" label="" />
        <span class="grow anywhere">
          <b class="strong">{name}</b> <span class="t2">{t`from ${address} waits for approval`}</span>
        </span>
        <Button slim kind="danger" more={{ "aria-label": t`Reject ${name}` }} busy={act.busy} onClick={() => void act.run(() => rejectNode(id))}>
          {t`Reject`}
        </Button>
        <Button slim kind="primary" more={{ "aria-label": t`Approve ${name}` }} busy={act.busy} onClick={() => void act.run(async () => void (await approveNode(id)))}>
          {t`Approve`}
        </Button>
      </div>
      <Refusal text={act.refusal} />
    </div>
  );
}
