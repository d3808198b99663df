export const SETTINGS_TABS = ["account", "users", "tokens", "joining", "history", "hub", "audit", "appearance"] as const;
export type SettingsTab = (typeof SETTINGS_TABS)[number];
