/** Lines of a node's system log, read when somebody looks at them. */

import { call } from "../wire/http";
import type { LogsView } from "../wire/schema.gen";

export const loadLogs = (nodeId: string, cursor?: string): Promise<LogsView> => call<LogsView>("GET", `nodes/${nodeId}/logs`, { query: { limit: 200, cursor } });
