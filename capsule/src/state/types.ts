/** The hub's types, for pages. */
export type {
  AccountView, ApiTokenView, AuditView, BatchBody, BatchJobView, BatchSummaryView, BatchView, ChangeView, DeploymentBody, DeploymentErrorView, DeploymentView, EventView, GrantsView, HistoryView, HubKeyView, HubView, NodeUpdatesView, NodeUpdateView, PackageUpdateView, PreferencesPatch, PackageUpdatesView, SavedViewView, JobBody, JobView, NewInviteView, NewTokenView, NodeView,
  ConfirmedView, DeploymentsView, InstalledPackageView, InviteView, JumpBody, ListedServerView, ListProblemView, LogLineView, ManyDeploymentsBody, ServerListView, OneTimePasswordView, PlanView, ReportView, RetryBody, Sample, SessionView, SettingsView, StepView, TableView, TierView, TotpView, UserView,
  AlertView, ChannelBody, ChannelExplanation, ChannelKindView, ChannelPatch, ChannelView, DayView, DeliveryView, ExpectationBody, ExpectationView, FormatPreviewBody, IncidentDetailView, IncidentView, LinkView, MaintenanceBody, MaintenanceView, MetricView, NotificationsView, OverrideBody, PreviewView, RuleBody, RulePatch, RuleView,
  PastProcessesView, ProcessReadingView, SelectBody, ThresholdBody, TimelineEntry, UnitJournalView,
} from "../wire/schema.gen";
export { ApiError } from "../wire/http";
