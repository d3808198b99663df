/** The list of keys, and the question for the password: small dialogs that are seldom seen. */

import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { hide } from "../state/dialogs";
import { stepUp } from "../state/stepup";
import { ApiError } from "../state/types";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { SecretField } from "../ui/field";

const KEYS: readonly (readonly [string[], string])[] = [
  [["Ctrl", "K"], "Search or run a command"],
  [["/"], "Filter the fleet"],
  [["n"], "Add a node"],
  [["g", "f"], "Go to fleet"],
  [["g", "j"], "Go to jobs"],
  [["g", "e"], "Go to events"],
  [["j"], "Next row"],
  [["k"], "Row before"],
  [["Enter"], "Open the row"],
  [["t"], "Next theme"],
  [["?"], "This list"],
  [["Esc"], "Close"],
];

export function Keys(): VNode {
  return (
    <Dialog title="Keys" icon="keyboard" size="narrow" onClose={hide}>
      <div class="body">
        <dl class="keys">
          {KEYS.map(([keys, words]) => [
            <dt key={words}>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>,
            <dd key={`${words}-what`}>{words}</dd>,
          ])}
        </dl>
      </div>
    </Dialog>
  );
}

export function StepUpDialog(): VNode {
  const [password, setPassword] = useState("");
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const asked = stepUp.value;
  const confirm = async (): Promise<void> => {
    setBusy(true);
    setWrong("");
    try {
      await asked?.confirm(password);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(error.status === 401 || error.code === "auth.bad_credentials" ? "The password is wrong." : error.detail);
      setPassword("");
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog title="Confirm that it is you" subtitle="This act wants your password once more." icon="lock" size="narrow" onClose={() => asked?.cancel()}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void confirm();
        }}
      >
        <div class="body">
          <SecretField label="Your password" value={password} onText={setPassword} wrong={wrong} input={{ autocomplete: "current-password", required: true, autofocus: true }} />
        </div>
        <footer>
          <Button class="end" onClick={() => asked?.cancel()}>
            Cancel
          </Button>
          <Button kind="primary" type="submit" busy={busy} disabled={!password}>
            Confirm
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
