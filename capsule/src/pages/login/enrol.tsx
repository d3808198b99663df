import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "../../core/text/i18n";
import { beginTotp, confirmTotp } from "../../state/account";
import { enrolled, logOut, user } from "../../state/session";
import { ApiError, type TotpView } from "../../state/types";
import { Button } from "../../ui/button";
import { RecoveryCodes, SecretToScan } from "../settings/second-factor";
import { Frame } from "./frame";

/** A second factor is required: the user must set it up first. */
export function EnrolPage(): VNode {
  const [secret, setSecret] = useState<TotpView | null>(null);
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  const [failure, setFailure] = useState("");
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
  if (codes) {
    return (
      <Frame title={t`Save your recovery codes`} text={t`They are shown only once.`}>
        <div class="panel">
          <RecoveryCodes codes={codes} done={t`Continue`} onDone={() => void enrolled()} />
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
        {secret && <SecretToScan secret={secret} submit={t`Verify and switch on`} onCode={async (code) => setCodes((await confirmTotp(code)).codes)} />}
        <Button kind="quiet" onClick={() => void logOut()}>
          {t`Sign out`}
        </Button>
      </div>
    </Frame>
  );
}
