/** The pages behind the first view: one chunk, so that the shared parts are not cut into crumbs. */

import "./first";
import "./later";

export { BatchPage } from "./many/batch";
export { ComparePage } from "./compare/compare";
export { EventsPage } from "./events/events";
export { JobPage } from "./job/job";
export { JobsPage } from "./jobs/jobs";
export { ServersPage } from "./add/servers";
export { UpdatesPage } from "./updates/updates";
export { Nowhere } from "./nowhere";
export { NodePage } from "./node/node";
