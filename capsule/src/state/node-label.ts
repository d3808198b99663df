/** What a node is called where something of it is shown that may outlive it. */

import { t } from "../core/text/i18n";
import { loaded, nodeName } from "./fleet";
import { user } from "./session";

/** Of one that the hub does not show. Who is limited to some nodes is not told whether it is gone or another one's. */
export const unknownNodeLabel = (): string => (user.value?.limited ? t`not among your nodes` : t`removed node`);

/** Until the fleet has come, nobody knows. */
export const nodeLabel = (id: string): string => nodeName(id) ?? (loaded.value ? unknownNodeLabel() : "…");
