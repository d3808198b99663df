/** When the viewer's day began: what shows a moment reads this, and is drawn anew at midnight, not each second. */

import { computed } from "@preact/signals";
import { now } from "./clock";

export const dayStart = computed(() => new Date(now.value * 1000).setHours(0, 0, 0, 0) / 1000);
