/** The hub's words, as pages know them. */
export type {
  AccountView, ApiTokenView, AuditView, ChangeView, DeploymentBody, DeploymentErrorView, DeploymentView, EventView, GrantsView, JobBody, JobView, NewTokenView, NodeView,
  OneTimePasswordView, RetryBody, Sample, SessionView, SettingsView, StepView, TotpView, UserView,
} from "../wire/schema.gen";
export { ApiError } from "../wire/http";
