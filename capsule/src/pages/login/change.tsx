import { useState } from "preact/hooks";
import { t } from "../../core/text";
import { changePassword, knowsCurrentPassword, logOut, user } from "../../state/session";
import { ApiError } from "../../state/types";
import { Button, Form, SecretField } from "../../ui";
import { Frame } from "./frame";
import { NewPassword, NO_PASSWORD, unmet } from "./new-password";

/** The page for a user who must choose a new password before the page is shown. */
export function ChangePage() {
  const username = user.value?.username ?? "";
  const asks = !knowsCurrentPassword();
  const [current, setCurrent] = useState("");
  const [entries, setEntries] = useState(NO_PASSWORD);
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (): Promise<void> => {
    if (busy) return;
    const missing = unmet(entries, username, current);
    setWrong(missing);
    if (missing) return;
    setBusy(true);
    try {
      await changePassword(current, entries.password);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(error.status === 401 || error.code === "auth.bad_credentials" ? t`The current password is wrong.` : error.detail);
    } finally {
      setBusy(false);
    }
  };
  /** Sets a value and clears the error, which is about an earlier value. */
  const edited =
    <T,>(set: (value: T) => void) =>
    (value: T): void => {
      set(value);
      setWrong("");
    };
  return (
    <Frame
      title={t`Choose a new password`}
      text={t`The password you signed in with works for this step only. Set your own to continue.`}
      refusal={wrong}
    >
      <Form class="panel" onSubmit={() => void submit()}>
        <input
          class="hidden-text"
          type="text"
          name="username"
          autocomplete="username"
          value={username}
          readOnly
          tabIndex={-1}
          aria-hidden="true"
        />
        {asks && (
          <SecretField
            label={t`Current password`}
            value={current}
            onText={edited(setCurrent)}
            input={{ autocomplete: "current-password", required: true, autofocus: true }}
          />
        )}
        <NewPassword entries={entries} onChange={edited(setEntries)} username={username} current={current} autofocus={!asks} />
        <Button kind="primary" type="submit" busy={busy}>
          {t`Set password and continue`}
        </Button>
        <Button kind="quiet" onClick={() => void logOut()}>
          {t`Sign out`}
        </Button>
      </Form>
    </Frame>
  );
}
