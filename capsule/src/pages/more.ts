/** The pages behind the first view: one chunk, so that the shared parts are not cut into crumbs. */

import "./first";

export { EventsPage } from "./events/events";
export { JobPage } from "./job/job";
export { JobsPage } from "./jobs/jobs";
export { NodePage } from "./node/node";
