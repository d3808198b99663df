/** What the first view shows, and every page. A module that is not named here is imported by its own name, so that it stays in a later chunk,
 * or because it loads only in a browser. */

export * from "./icon";
export * from "./glyph";
export * from "./button";
export * from "./hub-link";
export * from "./offline-notice";
export * from "./load-states";
export * from "./lazy";
export * from "./banner";
export * from "./boundary";
export * from "./field";
export * from "./menu";
export * from "./meter";
export * from "./sample-attributes";
export * from "./search";
export * from "./segmented";
export * from "./spark";
export * from "./virtual-list";
