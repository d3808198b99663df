/** The label of a node in places that may outlive the node. */

import { t } from "../core/text/i18n";
import { loaded, nodeName } from "./fleet";
import { user } from "./session";

/** For a node that the hub does not show. A limited user does not learn whether it is removed or not theirs. */
export const unknownNodeLabel = (): string => (user.value?.limited ? t`not among your nodes` : t`removed node`);

/** Unknown until the fleet is loaded. */
export const nodeLabel = (id: string): string => nodeName(id) ?? (loaded.value ? unknownNodeLabel() : "…");
