/** Plans and reports of jobs, read when somebody looks at them. */

import type { PlanView, ReportView } from "../wire/schema.gen";
import { call } from "../wire/http";

export const planOf = (id: string): Promise<PlanView> => call<PlanView>("GET", `jobs/${id}/plan`);
export const reportOf = (id: string): Promise<ReportView> => call<ReportView>("GET", `jobs/${id}/report`);

