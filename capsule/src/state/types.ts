/** The hub's words, as pages know them. */
export type {
  ChangeView, DeploymentBody, DeploymentErrorView, DeploymentView, EventView, JobBody, JobView, NodeView, RetryBody, Sample, StepView, UserView,
} from "../wire/schema.gen";
export { ApiError } from "../wire/http";
