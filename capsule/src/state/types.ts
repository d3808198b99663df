/** The hub's types, for pages. */
export type * from "../wire/schema.gen";
export { ApiError } from "../wire/http";
