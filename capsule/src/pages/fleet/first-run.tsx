import type { VNode } from "preact";
import { t } from "../../core/say";
import { active } from "../../state/deployments";
import { show } from "../../state/dialogs";
import { mayAct, user } from "../../state/session";
import { Button } from "../../ui/button";
import { Empty } from "../../ui/parts";

/** No node yet: what to do, and what is being done already. */
export function FirstRun(): VNode {
  const [first] = active.value;
  if (first) {
    return (
      <Empty icon="satellite" title={first.state === "awaiting_host_key" ? t`${first.name || first.host} waits for you` : t`Adding ${first.name || first.host}`} text={first.state === "awaiting_host_key" ? t`Compare its host key, then it goes on.` : t`Its live data appears here by itself, about ten seconds after the first contact.`}>
        <Button kind="primary" onClick={() => show({ kind: "add", deployment: first.id })}>
          {t`Show the steps`}
        </Button>
      </Empty>
    );
  }
  return (
    <Empty icon="satellite" title={t`No nodes yet`} text={[user.value?.limited && t`You see the nodes that you are granted, and none is here yet.`, mayAct.value ? t`Give an address and an SSH key, or run one command on the server. Live data arrives about ten seconds later.` : t`Your role may look, not add: ask an operator or an admin for the first one.`].filter(Boolean).join(" ")}>
      {mayAct.value && (
        <>
          <Button kind="primary" icon="plus" onClick={() => show({ kind: "add" })}>
            {t`Add node`}
          </Button>
          <Button onClick={() => show({ kind: "add", method: "command" })}>{t`One-line command`}</Button>
        </>
      )}
    </Empty>
  );
}
