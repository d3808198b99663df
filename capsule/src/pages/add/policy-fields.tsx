/** What the policy on the server allows beyond its mode: units that may be restarted, the journal, and accounts that report events. */

import { t } from "../../core/text";
import { TextField } from "../../ui";
import { SelectField } from "../../ui/form";
import type { PolicyWishes } from "../../core/deployments/policy-wishes";

const JOURNALS: [string, string][] = [
  ["", t`as the mode has it`],
  ["off", t`not at all`],
  ["warning", t`warnings and errors`],
  ["all", t`all lines`],
];
const NAMES = { autocomplete: "off", autocapitalize: "off", spellcheck: false, maxLength: 2000 };

/** `kept`: an empty field leaves the line of each server as it is. */
export function PolicyFields({
  entries,
  kept = false,
  onChange,
}: {
  entries: PolicyWishes;
  kept?: boolean;
  onChange: (part: Partial<Omit<PolicyWishes, "policy">>) => void;
}) {
  return (
    <>
      {entries.policy === "managed" && (
        <TextField
          label={t`Services that may be restarted`}
          hint={
            kept
              ? t`Names with commas between, such as nginx.service, php*-fpm.service. Empty: as each server has it.`
              : t`Names with commas between, such as nginx.service, php*-fpm.service. Empty: none.`
          }
          value={entries.units}
          onText={(units) => onChange({ units })}
          input={NAMES}
        />
      )}
      <div class="halves">
        <SelectField
          label={t`Journal on demand`}
          hint={t`Which lines of the log may be read from the page.`}
          value={entries.journal}
          onPick={(journal) => onChange({ journal: journal as PolicyWishes["journal"] })}
          options={kept ? [["", t`as each server has it`], ...JOURNALS.slice(1)] : JOURNALS}
        />
        <TextField
          label={t`Accounts for events of your own`}
          hint={t`Beside root, whose events always count. Such as backup.`}
          value={entries.events}
          onText={(events) => onChange({ events })}
          input={NAMES}
        />
      </div>
    </>
  );
}
