/** The dialog that asks once for the credentials of all servers of a request, and of their jump hosts, if the hub has none of them any more. */

import { useState } from "preact/hooks";
import { plural, t } from "../../core/text";
import { tryAllAgain } from "../../state/servers";
import { toast } from "../../state/toasts";
import type { NotRetriedView } from "../../state/types";
import { Button, Form } from "../../ui";
import { Dialog, Foot } from "../../ui/dialog";
import { ActionError, useAction } from "../use-action";
import { JumpSignInAgain, SignInFields, useFocusFirstError } from "./connection-fields";
import {
  EMPTY_CONNECTION,
  jumpBody,
  jumpErrors,
  signInBody,
  signInErrors,
  type ConnectionForm,
  type FormErrors,
  type JumpForm,
} from "./connection-form";
import { jumpKey, lackingJumps, lacksLogin, refusedLogins, type LackingLogin } from "./lacking-logins";

/** Shows why deployments were not retried that lack something else than credentials. */
export function showRefused(all: readonly NotRetriedView[]): void {
  const refused = all.filter((one) => !lacksLogin(one));
  if (refused[0]) toast("fail", t`${plural(refused.length, "server")} could not be retried`, refused[0].message);
}

const isIncomplete = (jump: JumpForm): boolean => Object.keys(jumpErrors(jump)).length > 0;

interface Props {
  lacking: readonly LackingLogin[];
  load: () => void;
  /** Gets those that still lack credentials; none = the dialog closes. */
  onLacking: (lacking: readonly LackingLogin[]) => void;
}

export function RetrySignIn({ lacking, load, onLacking }: Props) {
  const [entries, setEntries] = useState<ConnectionForm>(EMPTY_CONNECTION);
  /** What was entered for jump hosts, by `jumpKey`. */
  const [typed, setTyped] = useState<Readonly<Record<string, JumpForm>>>({});
  const [wrong, setWrong] = useState<FormErrors>({});
  const { form, judged } = useFocusFirstError(wrong);
  const signIn = lacking.some(({ server }) => server);
  const jumps = lackingJumps(lacking).map((jump) => typed[jumpKey(jump)] ?? jump);
  const title = t`Retry ${plural(lacking.length, "server")}`;
  const act = useAction(title);
  const onClose = (): void => onLacking([]);
  const retry = async (): Promise<void> => {
    const refused = await tryAllAgain(
      lacking.map(({ row }) => row.id),
      { ...(signIn ? signInBody(entries) : {}), ...(jumps.length ? { jumps: jumps.map(jumpBody) } : {}) },
    );
    showRefused(refused);
    load();
    const left = refusedLogins(lacking, refused);
    if (left.length || refused.length < lacking.length) onLacking(left);
  };
  const send = (): void => {
    const found = { ...(signIn ? signInErrors(entries) : {}), ...jumpErrors(jumps.find(isIncomplete) ?? null) };
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
            {t`Credentials were refused, or Ground Control has none of them any more: until a server is added, they are only in memory. Enter them once, for all of these servers.`}
          </p>
          {signIn && <SignInFields entries={entries} wrong={wrong} onChange={(part) => setEntries((before) => ({ ...before, ...part }))} />}
          {jumps.map((jump) => (
            <JumpSignInAgain
              key={jumpKey(jump)}
              jump={jump}
              wrong={isIncomplete(jump) ? wrong : {}}
              onJump={(changed) => setTyped((before) => ({ ...before, [jumpKey(jump)]: changed }))}
            />
          ))}
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
