/** A dialog with an example message in the format of a channel. */

import { useState } from "preact/hooks";
import { kindWords } from "../../core/alerts/delivery-text";
import { t } from "../../core/text";
import { previewFormat } from "../../state/alert-calls";
import type { ChannelView, FormatPreviewBody } from "../../state/types";
import { Dialog, Foot } from "../../ui/dialog";
import { SelectField } from "../../ui/form";
import { Failure, Loading } from "../../ui";
import { useAnswer } from "../use-answer";

type Kind = NonNullable<FormatPreviewBody["message"]>;
const KINDS: readonly Kind[] = ["firing", "changed", "repeat", "resolved", "event", "test", "digest"];

export function FormatPreview({ channel, onClose }: { channel: ChannelView; onClose: () => void }) {
  const [kind, setKind] = useState<Kind>("firing");
  const { found: payload, failure, load } = useAnswer(() => previewFormat({ kind: channel.kind, message: kind }), [kind]);
  return (
    <Dialog title={t`What ${channel.name} sends`} subtitle={t`A made-up message in its format.`} icon="eye" onClose={onClose}>
      <div class="body">
        <SelectField
          label={t`Message`}
          value={kind}
          onPick={(next) => setKind(next as Kind)}
          options={KINDS.map((one) => [one, kindWords(one)])}
        />
        {failure ? (
          <Failure title={t`The message could not be made`} error={failure} onRetry={load} />
        ) : payload ? (
          <pre class="payload" tabIndex={0} aria-label={t`The message`}>
            {Object.keys(payload).length === 1 && typeof Object.values(payload)[0] === "string"
              ? String(Object.values(payload)[0])
              : JSON.stringify(payload, null, 2)}
          </pre>
        ) : (
          <Loading rows={3} what={t`the message`} onRetry={load} />
        )}
      </div>
      <Foot onClose={onClose} out={t`Close`}>
        <></>
      </Foot>
    </Dialog>
  );
}
