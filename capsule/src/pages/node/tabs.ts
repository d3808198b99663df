export const NODE_TABS = ["overview", "measures", "processes", "hardware", "services", "packages", "jobs", "logs", "events", "settings"] as const;
export type NodeTab = (typeof NODE_TABS)[number];
