/** Why something needs a person, and what is wrong with what one typed: fetched when something does, and without the orders that somebody may give then. */

import "./first";

export { Cause } from "./fleet/cause";
export { FilterFault } from "./fleet/filter-fault";
export { CannotSave } from "./cannot-save";
