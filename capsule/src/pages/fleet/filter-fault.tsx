import type { VNode } from "preact";
import { filterError } from "../../core/nodes/filter-error";

/** What is wrong with the filter; fetched when something is. */
export const FilterFault = ({ token }: { token: string }): VNode => <>{filterError(token)}</>;
