export const SETTINGS_TABS = ["account", "users", "tokens", "joining", "history", "audit", "appearance"] as const;
export type SettingsTab = (typeof SETTINGS_TABS)[number];
