/** The label of a node in places that may outlive the node. */

import { t } from "../core/text";
import { loaded, nodeName } from "./fleet";
import { user } from "./session";

/** The label of a node that the hub does not show. For a limited user, the node is removed or not one of theirs. */
export const unknownNodeLabel = (): string => (user.value?.limited ? t`not among your nodes` : t`removed node`);

/** The name of a node, or the reason why it has none; "…" until the fleet is loaded. */
export const nodeLabel = (id: string): string => nodeName(id) ?? (loaded.value ? unknownNodeLabel() : "…");
