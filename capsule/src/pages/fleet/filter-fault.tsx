import type { VNode } from "preact";
import { faultOf } from "../../core/filter-fault";

/** What is wrong with the filter; fetched when something is. */
export const FilterFault = ({ token }: { token: string }): VNode => <>{faultOf(token)}</>;
