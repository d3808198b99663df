import { NODE_STATE_LABELS } from "../../core/jobs/job-labels";
import { t } from "../../core/text/i18n";
import { pageUrl } from "../../state/router";

/** Tags and systems keep their names; states have labels. */
export const groupName = (key: string): string => (pageUrl.value.query.get("group") === "state" && NODE_STATE_LABELS[key]) || key || t`untagged`;
