/** One order for many nodes: given, read and taken back as a whole. */

import { call, idempotencyKey } from "../wire/http";
import type { BatchBody, BatchView } from "../wire/schema.gen";

export const submitBatch = (body: BatchBody, key: string): Promise<BatchView> => call<BatchView>("POST", "jobs", { body, idempotencyKey: key });
export const loadBatch = (id: string): Promise<BatchView> => call<BatchView>("GET", `batches/${id}`);
export const cancelBatch = (id: string): Promise<BatchView> => call<BatchView>("POST", `batches/${id}/cancel`, { idempotencyKey: idempotencyKey() });
