/** What the dialogs that deploy again share: the wish to change the policy, and the difference to the owner's file. */

import type { ComponentChildren } from "preact";
import { t } from "../../core/text";
import { Check, SelectField } from "../../ui/form";
import type { Change } from "../add/connection-fields";
import type { ConnectionForm } from "../add/connection-form";
import { PolicyFields } from "../add/policy-fields";

/** `modes`: the choices for the mode. An empty key leaves the mode of each server as it is. */
export function PolicyWish({
  widening,
  entries,
  modes,
  mode,
  onWidening,
  onMode,
  onChange,
}: {
  widening: boolean;
  entries: ConnectionForm;
  modes: readonly [string, string][];
  mode: string;
  onWidening: (on: boolean) => void;
  onMode: (mode: string) => void;
  onChange: Change;
}) {
  return (
    <>
      <Check checked={widening} onCheck={onWidening}>
        {t`Change what the policy on the server allows`}
      </Check>
      {widening && (
        <div class="stack">
          <p class="t2">{t`The owner’s policy.conf stays as it is unless you sign in here and confirm the difference.`}</p>
          <SelectField label={t`Policy on the server`} value={mode} onPick={onMode} options={modes} />
          <PolicyFields entries={entries} kept={modes.some(([key]) => key === "")} onChange={onChange} />
        </div>
      )}
    </>
  );
}

/** The owner's text beside the text that would be written. */
export function PolicyTexts({ current, wanted, children }: { current: string; wanted: string; children?: ComponentChildren }) {
  return (
    <section class="stack" aria-label={t`Difference of the policy`}>
      {children}
      <div class="halves">
        <div>
          <p class="label">{t`On the server`}</p>
          <pre class="mono policy-lines">{current}</pre>
        </div>
        <div>
          <p class="label">{t`What would be written`}</p>
          <pre class="mono policy-lines">{wanted}</pre>
        </div>
      </div>
    </section>
  );
}
