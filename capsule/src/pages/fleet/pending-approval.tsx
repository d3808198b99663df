import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../../core/text";
import { rows } from "../../state/fleet";
import { approveNode, rejectNode } from "../../state/invites";
import { Button, Glyph } from "../../ui";
import { ActionError, useAction } from "../use-action";

/** Nodes that joined with an organisation secret and wait for approval. */
export function PendingApproval() {
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

function One({ id, name, address }: { id: string; name: string; address: string }) {
  const act = useAction();
  const [sure, setSure] = useState<boolean | null>(null);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (sure !== null) box.current?.querySelector("button")?.focus(); // the pressed button was replaced
  }, [sure]);
  if (sure) {
    return (
      <div ref={box}>
        <div class="row wrap">
          <Glyph kind="warn" label="" />
          <span class="grow anywhere">
            <b class="strong">{t`Reject ${name} for good?`}</b>{" "}
            <span class="t2">{t`Its key is refused from then on. To join again, it has to be reinstalled.`}</span>
          </span>
          <Button slim onClick={() => setSure(false)}>
            {t`Keep waiting`}
          </Button>
          <Button
            slim
            kind="destroy"
            more={{ "aria-label": t`Reject ${name} for good` }}
            busy={act.busy}
            onClick={() => void act.run(() => rejectNode(id))}
          >
            {t`Reject`}
          </Button>
        </div>
        <ActionError text={act.refusal} />
      </div>
    );
  }
  return (
    <div ref={box}>
      <div class="row wrap">
        <Glyph kind="wait" label="" />
        <span class="grow anywhere">
          <b class="strong">{name}</b> <span class="t2">{t`from ${address} is waiting for approval`}</span>
        </span>
        <Button slim kind="danger" more={{ "aria-label": t`Reject ${name}` }} onClick={() => setSure(true)}>
          {t`Reject`}
        </Button>
        <Button
          slim
          kind="primary"
          more={{ "aria-label": t`Approve ${name}` }}
          busy={act.busy}
          onClick={() => void act.run(async () => void (await approveNode(id)))}
        >
          {t`Approve`}
        </Button>
      </div>
      <ActionError text={act.refusal} />
    </div>
  );
}
