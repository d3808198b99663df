export const SETTINGS_TABS = ["account", "users", "tokens", "audit", "appearance"] as const;
export type SettingsTab = (typeof SETTINGS_TABS)[number];
