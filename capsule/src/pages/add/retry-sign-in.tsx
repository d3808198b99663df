/** The dialog that asks once for the credentials of all servers of a request, if the hub has none of them any more. */

import { useState } from "preact/hooks";
import { plural, t } from "../../core/text";
import { tryAllAgain } from "../../state/servers";
import { toast } from "../../state/toasts";
import type { NotRetriedView } from "../../state/types";
import { Button, Form } from "../../ui";
import { Dialog, Foot } from "../../ui/dialog";
import { ActionError, useAction } from "../use-action";
import { SignInFields, useFocusFirstError } from "./connection-fields";
import { EMPTY_CONNECTION, signInBody, signInErrors, type ConnectionForm, type FormErrors } from "./connection-form";

const lacksCredentials = ({ code }: NotRetriedView): boolean => code === "credentials_required";

/** Shows why deployments were not retried. Returns the ids of those that lack nothing but credentials. */
export function retryRefused(refused: readonly NotRetriedView[]): readonly string[] {
  showRefused(refused.filter((one) => !lacksCredentials(one)));
  return refused.filter(lacksCredentials).map(({ deployment }) => deployment);
}

function showRefused(refused: readonly NotRetriedView[]): void {
  if (refused[0]) toast("fail", t`${plural(refused.length, "server")} could not be retried`, refused[0].message);
}

export function RetrySignIn({ ids, load, onClose }: { ids: readonly string[]; load: () => void; onClose: () => void }) {
  const [entries, setEntries] = useState<ConnectionForm>(EMPTY_CONNECTION);
  const [wrong, setWrong] = useState<FormErrors>({});
  const { form, judged } = useFocusFirstError(wrong);
  const title = t`Retry ${plural(ids.length, "server")}`;
  const act = useAction(title);
  const retry = async (): Promise<void> => {
    const refused = await tryAllAgain(ids, signInBody(entries));
    showRefused(refused);
    load();
    if (refused.length < ids.length) onClose();
  };
  const send = (): void => {
    const found = signInErrors(entries);
    judged();
    setWrong(found);
    if (!Object.keys(found).length) void act.run(retry);
  };
  const { onClose: close, status } = act.dialogProps(onClose);
  return (
    <Dialog title={title} onClose={close}>
      <Form formRef={form} noValidate onSubmit={send}>
        <div class="deploy-form">
          <ActionError text={act.refusal} />
          <p class="t2">
            {t`These servers refused their credentials, or Ground Control has none of them any more: until a server is added, they are only in memory. Enter them once, for all of these servers.`}
          </p>
          <SignInFields entries={entries} wrong={wrong} onChange={(part) => setEntries((before) => ({ ...before, ...part }))} />
        </div>
        <Foot status={status} sending={act.busy} onClose={close}>
          <Button kind="primary" icon="rotate-cw" type="submit" busy={act.busy}>
            {title}
          </Button>
        </Foot>
      </Form>
    </Dialog>
  );
}
