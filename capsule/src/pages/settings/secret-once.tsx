import { useState } from "preact/hooks";
import { t } from "../../core/text";
import { Banner, Button, Glyph } from "../../ui";
import { Check } from "../../ui/form";
import { CopyButton } from "../../ui/copy";
import { Dialog } from "../../ui/dialog";

/** The close function of a dialog with a secret that cannot be shown again: the first call only warns. */
export function useConfirmStored(shown: boolean, close: () => void): { warned: boolean; onClose: () => void } {
  const [warned, setWarned] = useState(false);
  return { warned, onClose: () => (shown && !warned ? setWarned(true) : close()) };
}

export function StoreFirstNote({ warned }: { warned: boolean }) {
  if (!warned) return null;
  return (
    <Banner alert mark={<Glyph kind="warn" label="" />}>
      {t`Once closed, this cannot be shown again. Close again to confirm.`}
    </Banner>
  );
}

interface Props {
  title: string;
  /** The label of the secret, such as "One-time password". */
  label: string;
  secret: string;
  text: string;
  onClose: () => void;
}

/** The dialog for a secret that the hub sends only once. */
export function SecretOnce({ title, label, secret, text, onClose }: Props) {
  const [stored, setStored] = useState(false);
  const guard = useConfirmStored(!stored, onClose);
  return (
    <Dialog title={title} icon="file-key" size="narrow" onClose={guard.onClose}>
      <div class="body">
        <StoreFirstNote warned={guard.warned && !stored} />
        <p class="t2 anywhere">{text}</p>
        <div>
          <p class="label" id="shown-once">
            {label}
          </p>
          <div class="code">
            <code role="group" aria-labelledby="shown-once">
              {secret}
            </code>
            <CopyButton text={() => secret} name={t`Copy the ${label.toLowerCase()}`} />
          </div>
        </div>
        <Check checked={stored} onCheck={setStored}>
          {t`I have saved it; it is not shown again`}
        </Check>
      </div>
      <footer>
        <Button class="end" kind="primary" disabled={!stored} onClick={onClose}>
          {t`Done`}
        </Button>
      </footer>
    </Dialog>
  );
}
