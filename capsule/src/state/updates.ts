/** Available package updates across the fleet, aggregated by the hub. */

import { call } from "../wire/http";

const PAGE = 100;
const NODES = 500;

export const loadUpdates = (search: string, security: boolean, cursor?: string) =>
  call("GET", "updates", {
    query: { limit: PAGE, cursor, search: search || undefined, security: security ? "true" : undefined },
  });

export const loadNodesOf = (packageName: string, cursor?: string) =>
  call("GET", "updates/nodes", { query: { limit: NODES, cursor, package: packageName } });
