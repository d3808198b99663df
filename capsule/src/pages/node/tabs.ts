export const NODE_TABS = ["overview", "jobs", "events", "settings"] as const;
export type NodeTab = (typeof NODE_TABS)[number];
