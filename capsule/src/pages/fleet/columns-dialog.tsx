import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { chosenColumns, COLUMN_KEYS, COLUMN_LABELS, fleetCsv } from "../../core/nodes/columns";
import { t } from "../../core/text/i18n";
import { plural } from "../../core/text/units";
import { closeDialog } from "../../state/dialogs";
import { rows } from "../../state/fleet";
import { preferences, savePreferences } from "../../state/preferences";
import { pageUrl } from "../../state/router";
import { ApiError } from "../../state/types";
import { Banner } from "../../ui/banner";
import { Button } from "../../ui/button";
import { Dialog, Foot } from "../../ui/dialog";
import { downloadText } from "../../ui/download";
import { Check } from "../../ui/form";
import { Glyph } from "../../ui/glyph";
import { columnsOf, parseFilter, parseSort, sortFilter } from "./sort-filter";

/** The dialog that adds columns to the fleet's table for this user, and saves the listed nodes as CSV. */
export function ColumnsDialog(): VNode {
  const [wrong, setWrong] = useState("");
  const chosen = chosenColumns(preferences.value.columns);
  const { query } = pageUrl.value;
  const { key, down } = parseSort(query.get("sort"));
  const listed = sortFilter(rows.value, parseFilter(query.get("q") ?? ""), key, down);
  const set = async (columns: string[]): Promise<void> => {
    setWrong("");
    try {
      await savePreferences({ columns });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(error.detail);
    }
  };
  return (
    <Dialog title={t`Columns`} icon="rows-3" size="narrow" onClose={closeDialog}>
      <div class="body">
        {wrong && (
          <Banner kind="crit" alert mark={<Glyph kind="fail" label="" />}>
            {wrong}
          </Banner>
        )}
        <p class="t2">{t`Added columns take the place of network, load, temperature and uptime on narrow screens. Filter by them too, as in reboot:yes or kernel:6.1.`}</p>
        <fieldset class="choice">
          <legend class="hidden-text">{t`Columns to add`}</legend>
          {COLUMN_KEYS.map((one) => (
            <Check
              key={one}
              checked={chosen.includes(one)}
              onCheck={(on) => void set(chosenColumns(on ? [...chosen, one] : chosen.filter((key) => key !== one)))}
            >
              {COLUMN_LABELS[one]}
            </Check>
          ))}
        </fieldset>
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
