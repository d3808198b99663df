import { t } from "../../core/text";
import { activeDeployments } from "../../state/deployments";
import { showDialog } from "../../state/dialogs";
import { mayAct, user } from "../../state/session";
import { Button, Empty } from "../../ui";

/** The page of a fleet without nodes: the next step, or the deployment that is running. */
export function FirstRun() {
  const [first] = activeDeployments.value;
  if (first) {
    return (
      <Empty
        icon="satellite"
        title={
          first.state === "awaiting_host_key" ? t`${first.name || first.host} is waiting for you` : t`Adding ${first.name || first.host}`
        }
        text={
          first.state === "awaiting_host_key"
            ? t`Compare its host key to continue.`
            : t`Its live data appears here on its own, about ten seconds after the first contact.`
        }
      >
        <Button kind="primary" onClick={() => showDialog({ kind: "add", deployment: first.id })}>
          {t`Show the steps`}
        </Button>
      </Empty>
    );
  }
  return (
    <Empty
      icon="satellite"
      title={t`No nodes yet`}
      text={[
        user.value?.limited && t`You see only the nodes you have access to, and there are none yet.`,
        mayAct.value
          ? t`Enter an address and an SSH key, or run one command on the server. Live data arrives about ten seconds later.`
          : t`Your role can view nodes but not add them: ask an operator or an admin to add the first one.`,
      ]
        .filter(Boolean)
        .join(" ")}
    >
      {mayAct.value && (
        <>
          <Button kind="primary" icon="plus" onClick={() => showDialog({ kind: "add" })}>
            {t`Add node`}
          </Button>
          <Button onClick={() => showDialog({ kind: "add", method: "command" })}>{t`One-line command`}</Button>
        </>
      )}
    </Empty>
  );
}
