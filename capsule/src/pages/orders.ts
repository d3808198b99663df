/** Orders with their plans, and what jobs leave: fetched when somebody orders or looks. */

import "./first";
import "./later";

export { SelectionBar } from "./many/bar";
export { ForgetDialog } from "./many/forget";
export { ManyDialog } from "./many/order";
export { TagsDialog } from "./many/tags";
export { ViewsDialog } from "./fleet/views";
export { Aftermath } from "./job/aftermath";
export { OrderDialog } from "./node/order";
export { FirstRun } from "./fleet/first-run";
export { Waiting } from "./fleet/waiting";
export { OrderFor } from "./many/order-for";
