/** The hub's types, for pages. */
export type {
  AccountView, ApiTokenView, AuditView, BatchBody, BatchJobView, BatchView, ChangeView, DeploymentBody, DeploymentErrorView, DeploymentView, EventView, GrantsView, HubView, NodeUpdatesView, NodeUpdateView, PackageUpdateView, PreferencesPatch, PackageUpdatesView, SavedViewView, JobBody, JobView, NewInviteView, NewTokenView, NodeView,
  ConfirmedView, DeploymentsView, InstalledPackageView, InviteView, JumpBody, ListedServerView, ListProblemView, LogLineView, ManyDeploymentsBody, ServerListView, OneTimePasswordView, PlanView, ReportView, RetryBody, Sample, SessionView, SettingsView, StepView, TableView, TierView, TotpView, UserView,
} from "../wire/schema.gen";
export { ApiError } from "../wire/http";
