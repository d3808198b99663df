/** Rarely needed parts of the form: folded options, and the settings of the last server. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { t } from "../../core/text";
import { loadLastInstall } from "../../state/deployment";
import { Button } from "../../ui";
import { useAnswer } from "../use-answer";
import type { Change } from "./connection-fields";
import { EMPTY_CONNECTION, likeTheLast, type ConnectionForm, type FormErrors } from "./connection-form";

const FOLDED = ["jump", "keep", "policy", "units", "journal", "events", "proxy"] as const;
const FOLDED_ERRORS = ["jumpHost", "jumpPort", "jumpUser", "jumpSecret", "proxy"] as const;

/** Options that are folded, unless a value differs from its default or has an error. */
export function Options({ entries, wrong, children }: { entries: ConnectionForm; wrong: FormErrors; children: ComponentChildren }) {
  const [open, setOpen] = useState(false);
  const used = FOLDED.some((name) => entries[name] !== EMPTY_CONNECTION[name]) || FOLDED_ERRORS.some((name) => wrong[name]);
  return (
    <details class="options" open={open || used} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t`Options`}</summary>
      <div class="fields">{children}</div>
    </details>
  );
}

/** A button that fills in the settings of the last server that was added, without secrets. There is none before the first, or if it cannot be read. */
export function LastServer({ onChange }: { onChange: Change }) {
  const { found: last } = useAnswer(loadLastInstall);
  const [filled, setFilled] = useState(false);
  if (!last) return null;
  const fill = (): void => {
    onChange(likeTheLast(last));
    setFilled(true);
  };
  return (
    <div>
      <Button slim kind="quiet" onClick={fill}>
        {t`Same as the last server`}
      </Button>{" "}
      <span class="t3" role="status">
        {filled && t`Filled in as for ${last.name}.`}
      </span>
    </div>
  );
}
