import { useEffect, useState } from "preact/hooks";
import { t } from "../../core/text";
import { beginTotp, newRecoveryCodes, switchOnTotp } from "../../state/account";
import { enrolled, logOut, user } from "../../state/session";
import { ApiError, type TotpView } from "../../state/types";
import { Button } from "../../ui";
import { RecoveryCodes, SecretToScan } from "../settings/second-factor";
import { ActionError, useAction } from "../use-action";
import { Frame } from "./frame";

/** The page for a user who must set up a second factor before the page is shown. */
export function EnrolPage() {
  const [secret, setSecret] = useState<TotpView | null>(null);
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  const [failure, setFailure] = useState("");
  /** Whether the second factor is on but its recovery codes did not arrive. */
  const [lost, setLost] = useState(false);
  const act = useAction();
  const begin = async (): Promise<void> => {
    setFailure("");
    try {
      setSecret(await beginTotp());
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setFailure(error.detail);
    }
  };
  useEffect(() => void begin(), []);
  const confirm = async (code: string): Promise<void> => {
    const given = await switchOnTotp(code);
    setCodes(given);
    setLost(!given);
  };
  if (codes) {
    return (
      <Frame title={t`Save your recovery codes`} text={t`They are shown only once.`}>
        <div class="panel">
          <RecoveryCodes codes={codes} done={t`Continue`} onDone={() => void enrolled()} />
        </div>
      </Frame>
    );
  }
  if (lost) {
    return (
      <Frame title={t`New recovery codes`} text={t`The second factor is on, but its recovery codes did not arrive. Create new ones now.`}>
        <div class="panel">
          <ActionError text={act.refusal} />
          <Button kind="primary" busy={act.busy} onClick={() => void act.run(async () => setCodes((await newRecoveryCodes()).codes))}>
            {t`Create new codes`}
          </Button>
        </div>
      </Frame>
    );
  }
  return (
    <Frame
      title={t`Set up a second factor`}
      text={t`Ground Control requires one from ${user.value?.username ?? t`you`} before anything else.`}
      refusal={failure}
      action={
        <Button slim onClick={() => void begin()}>
          {t`Try again`}
        </Button>
      }
    >
      <div class="panel">
        {secret && <SecretToScan secret={secret} submit={t`Verify and switch on`} onCode={confirm} />}
        <Button kind="quiet" onClick={() => void logOut()}>
          {t`Sign out`}
        </Button>
      </div>
    </Frame>
  );
}
