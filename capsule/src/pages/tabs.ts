/** The tabs that an address can name. They are in this file because the router needs them before it loads the pages. */

export const NODE_TABS = [
  "overview",
  "measures",
  "processes",
  "hardware",
  "services",
  "packages",
  "jobs",
  "logs",
  "events",
  "changes",
  "rules",
  "settings",
] as const;
export type NodeTab = (typeof NODE_TABS)[number];

export const SETTINGS_TABS = [
  "account",
  "users",
  "members",
  "organisations",
  "tokens",
  "joining",
  "history",
  "hub",
  "policies",
  "sso",
  "audit",
  "appearance",
] as const;
export type SettingsTab = (typeof SETTINGS_TABS)[number];
