/** What nearly every file needs to say something: messages, times and units. */

export * from "./i18n";
export * from "./time";
export * from "./units";
