/** What most servers do not need: folded settings, and the settings of the last server. */

import type { ComponentChildren, VNode } from "preact";
import { useState } from "preact/hooks";
import { t } from "../../core/text/i18n";
import { loadLastInstall } from "../../state/deployment";
import { Button } from "../../ui/button";
import { useAction } from "../use-action";
import type { Change } from "./connection-fields";
import { EMPTY_CONNECTION, likeTheLast, type ConnectionForm, type FormErrors } from "./connection-form";

const FOLDED = ["jump", "keep", "policy", "proxy"] as const;
const FOLDED_ERRORS = ["jumpHost", "jumpPort", "jumpUser", "jumpSecret", "proxy"] as const;

/** Folded, unless a value differs from its default or is wrong. */
export function Options({ entries, wrong, children }: { entries: ConnectionForm; wrong: FormErrors; children: ComponentChildren }): VNode {
  const [open, setOpen] = useState(false);
  const used = FOLDED.some((name) => entries[name] !== EMPTY_CONNECTION[name]) || FOLDED_ERRORS.some((name) => wrong[name]);
  return (
    <details class="options" open={open || used} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t`Options`}</summary>
      <div class="fields">{children}</div>
    </details>
  );
}

/** Fills in user, port, way to sign in, tags and policy of the last server that was added over SSH; never a secret. */
export function LastServer({ onChange }: { onChange: Change }): VNode {
  const { busy, refusal, run } = useAction();
  const [said, setSaid] = useState("");
  const fill = (): void =>
    void run(async () => {
      const last = await loadLastInstall();
      if (last) onChange(likeTheLast(last));
      setSaid(last ? t`Filled in as for ${last.name}.` : t`No server was added over SSH yet.`);
    });
  return (
    <div>
      <Button slim kind="quiet" busy={busy} onClick={fill}>
        {t`Same as the last server`}
      </Button>{" "}
      <span class="t3" role="status">
        {refusal || said}
      </span>
    </div>
  );
}
