import { useState } from "preact/hooks";
import { splitColumns } from "../../core/nodes/column-names";
import { BUILT_IN, chosenColumns, COLUMN_KEYS, COLUMN_LABELS, fleetCsv, storedColumns } from "../../core/nodes/columns";
import { plural, t } from "../../core/text";
import { closeDialog } from "../../state/dialogs";
import { rows } from "../../state/fleet";
import { preferences, savePreferences } from "../../state/preferences";
import { pageUrl } from "../../state/router";
import { ApiError } from "../../state/types";
import { Button } from "../../ui";
import { Dialog, Foot } from "../../ui/dialog";
import { downloadText } from "../../ui/download";
import { Check } from "../../ui/form";
import { ActionError } from "../use-action";
import { columnsOf, parseFilter, parseSort, sortFilter } from "./sort-filter";

/** The dialog that adds columns to the fleet's table and takes others off, for this user, and saves the listed nodes as CSV. */
export function ColumnsDialog() {
  const [wrong, setWrong] = useState("");
  const { added, off } = splitColumns(preferences.value.columns);
  const chosen = chosenColumns(added);
  const { query } = pageUrl.value;
  const { key, down } = parseSort(query.get("sort"));
  const listed = sortFilter(rows.value, parseFilter(query.get("q") ?? ""), key, down);
  const set = async (nextAdded: readonly string[], nextOff: readonly string[]): Promise<void> => {
    setWrong("");
    try {
      await savePreferences({ columns: storedColumns(nextAdded, nextOff) });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(error.detail);
    }
  };
  return (
    <Dialog title={t`Columns`} icon="rows-3" size="narrow" onClose={closeDialog}>
      <div class="body">
        <ActionError text={wrong} />
        <p class="t2">{t`Added columns take the place of network, load, temperature and uptime on narrow screens. Filter by them too, as in reboot:yes or kernel:6.1.`}</p>
        <div class="halves">
          <fieldset class="choice">
            <legend class="label">{t`Measured`}</legend>
            {BUILT_IN.map(([key, label]) => (
              <Check
                key={key}
                checked={!off.includes(key)}
                onCheck={(on) => void set(added, on ? off.filter((one) => one !== key) : [...off, key])}
              >
                {label}
              </Check>
            ))}
          </fieldset>
          <fieldset class="choice">
            <legend class="label">{t`About the server`}</legend>
            {COLUMN_KEYS.map((one) => (
              <Check
                key={one}
                checked={chosen.includes(one)}
                onCheck={(on) => void set(on ? [...chosen, one] : chosen.filter((key) => key !== one), off)}
              >
                {COLUMN_LABELS[one]}
              </Check>
            ))}
          </fieldset>
        </div>
      </div>
      <Foot out={t`Close`} onClose={closeDialog}>
        <Button
          icon="download"
          disabled={!listed.length}
          onClick={() => downloadText(fleetCsv(listed.map(columnsOf)), "fleet.csv", "text/csv")}
        >
          {t`Save ${plural(listed.length, "node")} as CSV`}
        </Button>
      </Foot>
    </Dialog>
  );
}
