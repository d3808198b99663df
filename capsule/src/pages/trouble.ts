/** Why something needs a person: fetched when something does, and without the orders that somebody may give then. */

import "./first";

export { Cause } from "./fleet/cause";
