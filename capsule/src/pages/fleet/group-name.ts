import { NODE_STATE_LABELS } from "../../core/jobs/job-labels";
import { t } from "../../core/text";
import { pageUrl } from "../../state/router";

/** The name of a group: a tag, a system, or the label of a state. */
export const groupName = (key: string): string =>
  (pageUrl.value.query.get("group") === "state" && NODE_STATE_LABELS[key]) || key || t`untagged`;
