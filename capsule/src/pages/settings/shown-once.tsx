import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { Button } from "../../ui/button";
import { CopyButton } from "../../ui/copy";
import { Dialog } from "../../ui/dialog";
import { Check } from "../../ui/field";

interface Props {
  title: string;
  /** Of the secret: "One-time password". */
  label: string;
  secret: string;
  text: string;
  onClose: () => void;
}

/** A secret that the hub tells a single time. It lives in this dialog alone and goes with it. */
export function ShownOnce({ title, label, secret, text, onClose }: Props): VNode {
  const [kept, setKept] = useState(false);
  return (
    <Dialog title={title} icon="file-key" size="narrow" onClose={onClose}>
      <div class="body">
        <p class="t2">{text}</p>
        <div>
          <p class="label" id="shown-once">
            {label}
          </p>
          <div class="code">
            <code role="group" aria-labelledby="shown-once">
              {secret}
            </code>
            <CopyButton text={() => secret} name={`Copy the ${label.toLowerCase()}`} />
          </div>
        </div>
        <Check checked={kept} onCheck={setKept}>
          I have kept it, it is not shown again
        </Check>
      </div>
      <footer>
        <Button class="end" kind="primary" disabled={!kept} onClick={onClose}>
          Done
        </Button>
      </footer>
    </Dialog>
  );
}
