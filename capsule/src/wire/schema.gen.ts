// Made by scripts/gen/ts.py from the hub's `views.py` modules: never edited by hand.

export interface AccountView {
  username: string;
  role: "admin" | "operator" | "viewer";
  disabled: boolean;
  must_change_password: boolean;
  totp_enabled: boolean;
  /** Null: every node. */
  grants: GrantsView | null;
  created_at: number;
  last_seen_at: number | null;
}

export interface AccountsView {
  users: AccountView[];
  next: string | null;
}

export interface AcknowledgeBody {
  note?: string;
}

export interface AcknowledgeManyBody {
  ids: string[];
  note?: string;
}

/** A named action of the nodes (`actions.d`). */
export interface ActionBody {
  name: string;
  timeout_s?: number;
  must_succeed?: boolean;
}

export interface AgeBody {
  security?: number;
  other?: number;
}

export interface AgentUpdatesBody {
  /** Ids of nodes, 1 to 1000, in the order of the update. */
  nodes: string[];
  /** The number of nodes to update first. The others follow once these are connected with the new version. */
  canaries?: number;
  /** How many nodes are updated at the same time, 1 to 50. */
  at_once?: number;
}

export interface AgentsView {
  /** The ids of the nodes whose agents are being uninstalled. */
  removing: string[];
  /** The names of the nodes that are not connected, or refuse. */
  unreached: string[];
}

export interface AlertFlags {
  acknowledged: boolean;
  snoozed_until: number | null;
  /** The rule whose alert explains this one. */
  suppressed_by: string | null;
  /** Whether the data of the alert is missing. Until the data is back, the alert neither ends nor changes its level. */
  stale: boolean;
  /** Whether the alert changes so often that its changes are not sent. */
  flapping: boolean;
  /** The open maintenance window that delays the messages of the alert. */
  maintenance: string | null;
}

export interface AlertView {
  id: string;
  rule_id: string;
  rule_name: string;
  /** Whether the rule of the alert makes notices, which are shown and never sent. */
  notice: boolean;
  /** Null: the alert is about the hub itself, or about an event without a server. */
  node_id: string | null;
  /** The part of the node, such as a mount, a unit or an interface; empty: the node as a whole. */
  object: string;
  level: "warning" | "critical";
  state: "firing" | "resolved";
  /** When the value passed the threshold, in Unix seconds. */
  since_at: number;
  /** When the value had been past the threshold for `for_s` of the rule. */
  fired_at: number;
  resolved_at: number | null;
  /** Why the alert ended. */
  reason: "cleared" | "object_gone" | "rule_disabled" | "rule_deleted" | "not_selected" | "node_removed" | "not_repeated" | null;
  /** The value when it fired, or got its present level. */
  value: number | null;
  /** The value as it is now; null: it is not known, or the alert has ended. */
  present: number | null;
  threshold: number | null;
  flags: AlertFlags;
  acknowledged_by: string;
  note: string;
  /** Whether the alert was already over when late samples showed it. Nobody is notified of such an alert. */
  retro: boolean;
  incident_id: string;
}

export interface AlertsView {
  alerts: AlertView[];
  next: string | null;
}

export interface ApiTokenView {
  id: string;
  /** The owner. A token never has more rights than its owner has. */
  username: string;
  name: string;
  role: "admin" | "operator" | "viewer";
  /** Null: every node that the owner sees. */
  grants: GrantsView | null;
  /** Whether the token allows actions for which users must prove their password again, such as the removal of a node. */
  sensitive: boolean;
  created_at: number;
  expires_at: number;
  last_used_at: number | null;
  last_address: string;
}

export interface ApiTokensView {
  tokens: ApiTokenView[];
  next: string | null;
}

export interface AppliedPoliciesView {
  policies: AppliedPolicyView[];
  /** Ids of policies of the hub that the file does not have: they stay. */
  left: string[];
}

export interface AppliedPolicyView {
  id: string;
  name: string;
  act: "add" | "change" | "keep";
  /** The fields that change. */
  fields: string[];
}

export interface AppliedRule {
  act: "add" | "change" | "keep";
  /** Null: a new rule in a dry run. */
  id: string | null;
  name: string;
  /** The changed fields. */
  fields: FieldChange[];
}

export interface AppliedRulesView {
  dry_run: boolean;
  /** The rules in the order of the file. */
  rules: AppliedRule[];
  /** Ids of rules of the hub that are not in the file. They stay unchanged. */
  left: string[];
}

export interface ApprovalView {
  by: string;
  at: number;
}

/** A proof of a passkey, as the browser gives it (WebAuthn), each part as base64url. */
export interface AssertionBody {
  credential: string;
  client_data: string;
  authenticator_data: string;
  signature: string;
}

export interface AttemptView {
  number: number;
  at: number;
  ended_at: number | null;
  code: string;
}

export interface AuditCheckView {
  holds: boolean;
  /** The first row that was changed, moved or removed; null: none was. */
  fault: string | null;
  /** The heads that no later chain has recorded; empty if the log does not hold. */
  heads: AuditHeadView[];
  at: number;
}

/** The last row of a chain. A copy that is kept elsewhere shows later whether the log was cut or rewritten (`stardust audit verify --expect`). */
export interface AuditHeadView {
  chain: string;
  n: number;
  hash: string;
}

export interface AuditPageView {
  audit: AuditView[];
  /** The orders for many nodes that these rows belong to, each as a whole. */
  orders: OrderView[];
  /** What the ids in the targets and details of these rows stand for. An unknown id is missing. */
  subjects: Record<string, SubjectView>;
  next: string | null;
}

export interface AuditView {
  /** The hash chain; empty: a refusal, which belongs to none. `n` is then the number of the refusal. */
  chain: string;
  n: number;
  at: number;
  actor: string;
  address: string;
  action: string;
  target: string;
  result: string;
  detail: Record<string, unknown>;
  /** Who ordered the job or deployment that the row is about; empty: it is about none, or the hub has removed it. */
  by: string;
  /** The order for many nodes that the row belongs to. */
  order: string | null;
}

export interface BatchBody {
  /** Required by install, remove, hold and unhold. An upgrade without them covers all packages. Null and an empty list are invalid. */
  packages?: string[];
  /** Required by the actions `unit-…`, and only for them: full names of services, sockets or timers of systemd, such as `nginx.service`. */
  units?: string[];
  /** Required by the action `container-restart`, and only for it: the name of a container of Docker or Podman. */
  container?: string;
  /** Required by the action `action-run`, and only for it: the name of one of the owner's own actions, as `policy.actions` lists them. */
  named_action?: string;
  action: "refresh" | "check" | "plan" | "upgrade" | "full-upgrade" | "security-upgrade" | "install" | "remove" | "autoremove" | "hold" | "unhold" | "clean" | "repair" | "unit-start" | "unit-stop" | "unit-restart" | "unit-reload" | "container-restart" | "action-run" | "reboot";
  /** The action that `plan` simulates. */
  for?: "upgrade" | "full-upgrade" | "security-upgrade" | "install" | "remove" | "autoremove";
  /** Digest of the approved plan. If the node's plan differs now, the job ends with job.plan_changed before any change. */
  plan?: string;
  /**
   * Whether to reboot after the upgrade, unless the node reports that none is due. After one that failed in part: only if one is due, and never
   * while packages are broken or what starts the server is not up to date; the error then says so.
   */
  reboot?: boolean;
  /** Why this job may change a node in spite of a freeze, 1 to 200 characters. Only an admin may, with a password check; the audit log has it. */
  override_freeze?: string;
  /** Ids of nodes, 1 to 1000. */
  nodes: string[];
  /** Id of a batch that planned the same action. Each job is bound to its node's plan in that batch. A node without a plan gets no job. */
  plans_of?: string;
}

export interface BatchJobView {
  id: string;
  node_id: string;
  state: string;
  phase: string | null;
  progress_percent: number | null;
  package: string;
  changes: number;
  stop: StopView | null;
  started_at: number | null;
  ended_at: number | null;
  error: JobErrorView | null;
  /** Stored bytes of output. */
  output_bytes: number;
  /** As in a job. */
  lost: boolean;
  /** Whether a complete plan of this job is stored. It may be read before the job ends. */
  planned: boolean;
}

export interface BatchSummaryView {
  packages: string[];
  units: string[];
  container: string | null;
  named_action: string | null;
  id: string;
  action: string;
  for: string | null;
  plan: string | null;
  reboot: boolean;
  state: "running" | "done";
  /** State -> number of jobs. */
  counts: Record<string, number>;
  refused: RefusedView[];
  created_by: string;
  created_at: number;
  ended_at: number | null;
  /** The bulk job whose plans its jobs carry out. A chosen node that has no job here stands there. */
  plans_of: string | null;
}

export interface BatchView {
  packages: string[];
  units: string[];
  container: string | null;
  named_action: string | null;
  id: string;
  action: string;
  for: string | null;
  plan: string | null;
  reboot: boolean;
  state: "running" | "done";
  /** State -> number of jobs. */
  counts: Record<string, number>;
  refused: RefusedView[];
  created_by: string;
  created_at: number;
  ended_at: number | null;
  /** The bulk job whose plans its jobs carry out. A chosen node that has no job here stands there. */
  plans_of: string | null;
  jobs: BatchJobView[];
}

export interface BatchesView {
  batches: BatchSummaryView[];
  next: string | null;
}

export interface BreakGlassBody {
  /** Told to the organisation; 1 to 200 characters. */
  reason: string;
  /** At most 4, and at least a minute. The caller is a viewer meanwhile: any other role could make something that stays. */
  hours?: number;
}

export interface BreakGlassView {
  until: number;
}

export interface CancelBody {
  /** Kill the process that delays an earlier stop, such as a maintainer script. Packages may remain half-configured; `repair` helps. */
  force?: boolean;
}

export interface CandidateView {
  version: string;
  security: "yes" | "no" | "unknown";
  /** Empty = not known. */
  repository: string;
  nodes: number;
}

/** The most messages of a channel in an hour. Critical ones have a cap of their own. */
export interface CapsBody {
  per_hour?: number;
  critical_per_hour?: number;
}

export interface CapsView {
  per_hour: number;
  critical_per_hour: number;
}

export interface ChangeView {
  package: string;
  /** Empty = newly installed. */
  from: string;
  /** Empty = removed. */
  to: string;
}

export interface ChannelBody {
  kind: "email" | "webhook" | "ntfy" | "telegram" | "slack" | "discord" | "teams" | "gotify" | "pagerduty";
  name: string;
  /** The receiver, in the schema that `GET channels/kinds` gives for the kind. */
  target: Record<string, unknown>;
  audience?: "operator";
  enabled?: boolean;
  min_severity?: "info" | "warning" | "critical";
  quiet_hours?: QuietHoursBody | null;
  caps?: CapsBody;
  /** Whether it also tells of the hub itself; only an admin of the hub may say so. Null: it does if one makes it. */
  instance?: boolean | null;
}

export interface ChannelExplanation {
  channel_id: string;
  channel_name: string;
  decision: "send" | "defer" | "skip";
  reason: string;
  /** A sentence that says when the channel was notified, until when the message is delayed, or why it is not sent. */
  sentence: string;
  /** `sentence` in parts, so that its times can be shown in another zone. */
  parts: SentencePart[];
  next_at: number | null;
}

export interface ChannelKindView {
  kind: "email" | "webhook" | "ntfy" | "telegram" | "slack" | "discord" | "teams" | "gotify" | "pagerduty";
  title: string;
  /** Its purpose. */
  hint: string;
  /** JSON Schema of the target: `title` and `description` of a field are its label and hint; `writeOnly` marks secrets. */
  target: Record<string, unknown>;
}

export interface ChannelKindsView {
  kinds: ChannelKindView[];
}

/** Fields that are left out stay as they are. A target is replaced as a whole. */
export interface ChannelPatch {
  name?: string | null;
  target?: Record<string, unknown> | null;
  enabled?: boolean | null;
  min_severity?: "info" | "warning" | "critical" | null;
  quiet_hours?: QuietHoursBody | null;
  caps?: CapsBody | null;
  instance?: boolean | null;
}

export interface ChannelView {
  id: string;
  kind: "email" | "webhook" | "ntfy" | "telegram" | "slack" | "discord" | "teams" | "gotify" | "pagerduty";
  name: string;
  audience: "operator";
  enabled: boolean;
  min_severity: "info" | "warning" | "critical";
  quiet_hours: QuietHoursView | null;
  caps: CapsView;
  state: "ok" | "retrying" | "broken";
  /** The code of the last failure, such as `http:401`, `smtp:550` or `tls_certificate`. */
  state_reason: string;
  state_since_at: number;
  /** When the receiver last accepted a test message. */
  tested_at: number | null;
  /** Empty for callers who may not manage channels. */
  target_masked: string;
  /** Whether it also tells of the hub itself; null for callers who may not decide that. */
  instance: boolean | null;
}

export interface ChannelsView {
  channels: ChannelView[];
}

export interface ClockView {
  /** Seconds by which the clock was behind the audit log; 0: there was nothing to accept. */
  behind_seconds: number;
}

/** A sentence of a node's agent. docs/errors.md lists the codes. */
export interface CodedTextView {
  code: string;
  /** The English text, with `{name}` where a fact belongs. */
  template: string;
  facts: Record<string, string>;
}

export interface ColumnView {
  name: string;
  /** time: Unix seconds. */
  kind: "text" | "number" | "time";
  unit: string;
}

export interface ConfigFileView {
  path: string;
  /** The difference from the file in use. Empty = not readable, or not text. */
  diff: string;
}

export interface ConfirmationBody {
  deployment: string;
  fingerprint: string;
}

export interface ConfirmedView {
  /** The deployments whose host key is confirmed now. */
  deployments: DeploymentView[];
  refused: UnconfirmedView[];
}

/** A time range with corrupt stored samples: its values are missing. */
export interface DamageView {
  start: number;
  end: number;
}

/** One deadline: the number of nodes in each state, and up to 50 nodes that did not meet it. */
export interface DayView {
  date: string;
  start_at: number;
  by_at: number;
  due_at: number;
  met: number;
  arrived_late: number;
  late: number;
  missed: number;
  /** Nodes that were added, or for which the expectation was changed, after the window began. */
  not_judged: number;
  nodes: NodeDayView[];
}

export interface DaysView {
  days: DayView[];
}

export interface DeleteBody {
  /** The short name of the organisation, as typed by a person. */
  typed: string;
  /** True: delete it although it has nodes. Their agents stay on their servers, and can no longer report. */
  abandon?: boolean;
}

export interface DeliveriesView {
  deliveries: DeliveryView[];
  next: string | null;
}

export interface DeliveryView {
  id: string;
  channel_id: string;
  kind: "firing" | "changed" | "repeat" | "resolved" | "event" | "test" | "digest";
  incident_id: string | null;
  event_id: string | null;
  state: "due" | "sending" | "sent" | "deferred" | "skipped" | "failed";
  reason: string;
  critical: boolean;
  attempts: number;
  tries: AttemptView[];
  at: number;
  next_at: number | null;
  sent_at: number | null;
}

export interface DeploymentBody {
  private_key?: string | null;
  passphrase?: string | null;
  password?: string | null;
  /** An OpenSSH user certificate for the private key, as one line (`ssh-ed25519-cert-v01@openssh.com …`). */
  certificate?: string | null;
  sudo_password?: string | null;
  /** Names and patterns (`*`) of the units that people may start, stop, restart and reload. */
  units?: string[] | null;
  containers?: string[] | null;
  journal?: "off" | "warning" | "all" | null;
  /** Accounts of the server that may report events, beside root. */
  events?: string[] | null;
  /** Log in with the hub's own SSH key (`GET hub-key`), in place of a key or password. */
  use_hub_key?: boolean;
  tags?: string[] | null;
  keep_credentials?: boolean;
  install_python?: boolean;
  /** The mode of a new policy file. A file that is on the server stays. */
  policy?: "monitor" | "readonly" | "managed";
  jump?: JumpBody | null;
  /** The HTTP proxy (`http://host:port`) through which the server connects to this hub. */
  proxy?: string | null;
  host: string;
  username: string;
  port?: number;
  name?: string | null;
  /** The expected fingerprint (`SHA256:…`). If it matches, the host key needs no confirmation. */
  host_key?: string | null;
}

export interface DeploymentErrorView {
  code: string;
  message: string;
  step: string;
  /** It failed at the jump host, not at the server. */
  at_jump_host: boolean;
}

export interface DeploymentView {
  id: string;
  kind: "install" | "update" | "remove";
  state: "running" | "awaiting_host_key" | "succeeded" | "failed" | "cancelled";
  node_id: string | null;
  host: string;
  port: number;
  username: string;
  name: string;
  host_key: HostKeyView | null;
  steps: StepView[];
  error: DeploymentErrorView | null;
  created_by: string;
  created_at: number;
  ended_at: number | null;
  /** null: there is no jump host. */
  jump: JumpView | null;
  /** Common to the deployments of one request (`GET deployments?batch=`). */
  batch_id: string | null;
  /** Whether the deployment replaces the Spider of an existing node. The node remains even if the deployment fails. */
  again: boolean;
  /** Whether the removal deletes only the node's records (`?force=true`). A retry does the same. */
  forced: boolean;
  /** null: this is the first attempt. */
  earlier: EarlierView | null;
  /** The tags of the new node. */
  tags: string[];
  policy: "monitor" | "readonly" | "managed";
  /** The difference between the server's policy file and the request. null: none, or not known yet. */
  policy_found: PolicyFoundView | null;
  /** Whether the deployment logs in with the hub's own SSH key. */
  use_hub_key: boolean;
  /** Grows with each change: the view with the higher number is newer. */
  version: number;
}

export interface DeploymentsView {
  deployments: DeploymentView[];
  next: string | null;
}

export interface DialledListView {
  nodes: DialledView[];
}

/** The address at which a connected node has reached the hub. */
export interface DialledView {
  node_id: string;
  address: string;
  /** Whether the hub tells this node to dial another address. */
  is_other: boolean;
  /** Whether the node moves to this other address: the node has pinned the hub's key, and its agent is new enough. */
  follows: boolean;
}

/** The previous attempt. Each attempt starts at the first step, since a failed attempt is undone. */
export interface EarlierView {
  /** The number of previous attempts. */
  tries: number;
  /** The step at which the last attempt ended. */
  step: string;
  /**
   * The changes on the server. `nothing`: there are none; `taken_back`: they were undone; `unknown`: the next attempt undoes them first;
   * `goes_on`: a removal, which the next attempt continues.
   */
  left: "nothing" | "taken_back" | "unknown" | "goes_on";
  /** Steps whose result is reused: a confirmed `host_key` needs no second confirmation. */
  kept: string[];
}

export interface EffectiveRuleView {
  /** The rule with the values that apply to this node. */
  rule: RuleView;
  /** The index of the override that applies, from 0; null: none applies. */
  override: number | null;
}

export interface EffectiveRulesView {
  rules: EffectiveRuleView[];
}

export interface EnrolledListView {
  nodes: EnrolledView[];
  server_url: string;
}

export interface EnrolledView {
  node_id: string;
  name: string;
  generation: number;
  fleet_id: string;
  /** Hex. */
  session_key: string;
  launch_key: string;
}

/** `topic` is empty if the message itself was invalid. */
export interface ErrorMessage {
  code: string;
  message: string;
  topic: string;
}

export interface EventBody {
  /** A type that programs may report (docs/events.md). */
  type: string;
  message: string;
  /** null: the severity of the type. */
  severity?: "info" | "warning" | "error" | null;
  /** At most 16 short texts and numbers. */
  details?: Record<string, string | number | number> | null;
  /** When the event happened, in Unix seconds; null: now. */
  at?: number | null;
  /** The caller's own id of the event. An event that is sent again with the same id is stored once. */
  event_id?: string | null;
  node_id?: string | null;
}

export interface EventView {
  id: string;
  type: string;
  severity: "info" | "warning" | "error";
  source: "agent" | "hub" | "api";
  at: number;
  node_id: string | null;
  message: string;
  details: Record<string, unknown>;
  object: string;
  received_at: number;
  count: number;
  last_at: number;
  retro: boolean;
}

export interface EventsData {
  events: EventView[];
}

export interface EventsView {
  events: EventView[];
  /** The orders for many nodes that these events belong to, each as a whole. */
  orders: OrderView[];
  next: string | null;
}

/** These days of every N-th week. Weeks begin on Monday and count from the week of `since`. */
export interface EveryWeeksBody {
  weeks: number;
  days: ("mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun")[];
  /** A date such as 2026-12-01. */
  since: string;
}

/** An event that each selected node should report on each of the days. */
export interface ExpectationBody {
  name: string;
  select: SelectBody;
  /** A type of event, such as `backup_completed`, or the name of a custom event. */
  event: string;
  /** A local time of day, such as 05:00. */
  by: string;
  /** The time zone, such as Europe/Budapest. */
  zone: string;
  /** An event before this time of day does not count. If `from` is not before `by`, `from` is on the previous day. */
  from?: string;
  /** Null: every day. */
  days?: ("mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun")[] | null;
  grace_s?: number;
  severity?: "warning" | "critical";
}

/** Fields that are left out stay as they are. */
export interface ExpectationPatch {
  name?: string;
  select?: SelectBody;
  event?: string;
  by?: string;
  zone?: string;
  from?: string;
  days?: ("mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun")[];
  grace_s?: number;
  severity?: "warning" | "critical";
}

export interface ExpectationView {
  id: string;
  name: string;
  select: SelectView;
  event: string;
  from: string;
  by: string;
  zone: string;
  days: ("mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun")[];
  grace_s: number;
  severity: "warning" | "critical";
}

export interface ExpectationsView {
  expectations: ExpectationView[];
}

export interface ExplainView {
  channels: ChannelExplanation[];
}

export interface FieldChange {
  field: string;
  before: unknown;
  after: unknown;
}

export interface FindingView {
  kind: string;
  /** The mount, unit, interface … with the fault; empty: the server as a whole. */
  object: string;
  level: "notice" | "warning" | "critical";
  since_at: number;
  /** A sentence for people. */
  cause: string;
  /** The verb that helps; null: there is none. */
  action: string | null;
  /** The alert behind the finding; empty: there is none. */
  alert_id: string;
}

export interface FirstAdminView {
  username: string;
  how: "joined" | "offered" | "created";
  /** The one-time password of a created account, shown once. */
  password: string | null;
}

/** Changes since the last message: whole rows of nodes whose record changed, else only new values. */
export interface FleetChange {
  nodes: NodeView[];
  /** node id -> series -> sample. A series with an unchanged value is omitted, except `cpu.total` and `load.1`. */
  latest: Record<string, Record<string, Sample>>;
  removed: string[];
}

export interface FleetData {
  /** All nodes with the summary in `latest`. Other series are in `node:<id>`. */
  nodes: NodeView[];
}

export interface FormatPreviewBody {
  kind: "email" | "webhook" | "ntfy" | "telegram" | "slack" | "discord" | "teams" | "gotify" | "pagerduty";
  message?: "firing" | "changed" | "repeat" | "resolved" | "event" | "test" | "digest";
}

export interface FormatPreviewView {
  kind: "email" | "webhook" | "ntfy" | "telegram" | "slack" | "discord" | "teams" | "gotify" | "pagerduty";
  /** The message in the format of this kind, without the target. */
  payload: Record<string, unknown>;
}

/** Changes of this topic were lost. Wait for the new snapshot, or subscribe again. */
export interface GapMessage {
  topic: string;
}

export interface GateView {
  gate: string;
  verdict: "clear" | "worse" | "failed" | "unknown" | "already" | "not_available";
  /** A sentence with number, limit and the unit to blame. */
  words: string;
  /** null: all nodes of the wave that were watched so far are clear. */
  node_id: string | null;
  object: string;
  since_at: number | null;
  value: number | null;
  limit: number | null;
  /** What would clear it. */
  clears: string;
}

export interface GatesView {
  gates: GateView[];
}

export interface GoOnBody {
  /** The name of a gate, or * for all of this wave. */
  gate: string;
  reason: string;
}

/** The nodes that a user or token may see, by ids, tags or both. At least one id or tag is required. */
export interface GrantsBody {
  nodes?: string[];
  tags?: string[];
}

export interface GrantsView {
  nodes: string[];
  tags: string[];
}

/** Users with this value in this claim get a membership. */
export interface GroupRowBody {
  /** The name of a claim, or names with dots between them: `groups`, `realm_access.roles`. */
  claim: string;
  /** Compared exactly. */
  value: string;
  /** The organisation's name in addresses. */
  organisation: string;
  role: "admin" | "operator" | "viewer";
  /** The nodes that the membership is limited to; null: every node. */
  grants?: GrantsBody | null;
}

export interface GroupRowView {
  claim: string;
  value: string;
  organisation: string;
  role: "admin" | "operator" | "viewer";
  grants: GrantsView | null;
}

/** The answer of `/healthz`. */
export interface HealthView {
  status: "ok" | "draining" | "failing";
  version: string;
  database: boolean;
}

export interface HeldNodeView {
  node_id: string;
  /** A code, such as `never_by_schedule`, `agent_policy`, `frozen`, `offline`. */
  reason: string;
  words: string;
  /** What helps; empty: waiting does, or its words say it. */
  remedy: string;
}

export interface HistoriesView {
  step: number;
  tier: "1s" | "1m" | "1h";
  times: number[];
  /** By node, then by series. */
  nodes: Record<string, Record<string, SeriesView>>;
  /** The corrupt ranges of each node that has any. */
  damaged: Record<string, DamageView[]>;
}

export interface HistoryView {
  step: number;
  tier: "1s" | "1m" | "1h";
  times: number[];
  series: Record<string, SeriesView>;
  damaged: DamageView[];
}

export interface HostKeyBody {
  fingerprint: string;
}

export interface HostKeyView {
  type: string;
  fingerprint: string;
  /** The owner of the key: the server or its jump host. */
  host: string;
  /** The port at which the key was presented. The port distinguishes the server from a jump host of the same name. */
  port: number;
}

export interface HostKeysBody {
  /** 1 to 256 confirmations. */
  host_keys: ConfirmationBody[];
}

export interface HubKeyBody {
  /** Whether to replace the present key, which is destroyed. */
  replace?: boolean;
}

export interface HubKeyStateView {
  /** null: there is no key. */
  key: HubKeyView | null;
}

/** The public half of the hub's own SSH key. */
export interface HubKeyView {
  /** `ssh-ed25519 AAAA…` */
  public: string;
  fingerprint: string;
  /** The line for `~/.ssh/authorized_keys` on a server. */
  authorized_keys: string;
  created_at: number;
  created_by: string;
}

/** The hub's addresses, TLS and disk use. */
export interface HubView {
  version: string;
  /** Origins of the web page. */
  origins: string[];
  /** The address to which nodes connect. */
  node_url: string;
  /** Whether browsers connect by TLS. */
  secure: boolean;
  /** SHA-256 of the certificate's public key, which nodes pin. null: a known authority signed it, or there is no TLS. */
  tls_pin: string | null;
  data_dir: string;
  /** Size of both databases with their write-ahead logs. */
  database_bytes: number;
  /** Free space on that disk for users other than root. */
  free_bytes: number;
  /** The time of the newest backup. null: none is recorded. */
  backup_at: number | null;
}

export interface IdentityView {
  hostname: string;
  machine_id: string;
  os_id: string;
  os_name: string;
  os_version: string;
  kernel: string;
  architecture: string;
  virtualization: string;
  cpu_model: string;
  cpu_cores: number;
  memory_bytes: number;
  package_manager: string;
  timezone: string;
  booted_at: number;
  addresses: string[];
  /** The revision of git of the configuration that runs there (NixOS, nix-darwin, Home Manager); empty: unknown. */
  revision: string;
  /** The generation of that configuration; null: unknown. */
  generation: number | null;
}

export interface IncidentDetailView {
  id: string;
  level: "warning" | "critical";
  state: "open" | "resolved";
  title: string;
  since_at: number;
  resolved_at: number | null;
  group: string;
  /** The nodes of `alerts`. */
  nodes: string[];
  alerts: AlertView[];
  /** Whether there are more than 500 alerts. Then only the newest are listed. */
  alerts_cut: boolean;
  /** Entries from ten minutes before the incident until its end, oldest first. */
  timeline: TimelineEntry[];
  /** Whether there are more than 200 entries. Then only the first and the newest are listed. */
  timeline_cut: boolean;
}

export interface IncidentView {
  id: string;
  level: "warning" | "critical";
  state: "open" | "resolved";
  title: string;
  since_at: number;
  resolved_at: number | null;
  group: string;
  /** The nodes of `alerts`. */
  nodes: string[];
  alerts: AlertView[];
  /** Whether there are more than 500 alerts. Then only the newest are listed. */
  alerts_cut: boolean;
}

export interface IncidentsView {
  incidents: IncidentView[];
  next: string | null;
}

export interface InstalledPackageView {
  name: string;
  version: string;
}

/** The address and the checksum of `install.sh`. */
export interface InstallerView {
  url: string;
  sha256: string;
}

export interface InstanceAdminBody {
  username: string;
  admin: boolean;
}

export interface InstanceAdminView {
  username: string;
  disabled: boolean;
  totp_enabled: boolean;
  last_seen_at: number | null;
}

export interface InstanceAdminsView {
  admins: InstanceAdminView[];
  next: string | null;
}

/** By default, an invite for one node gives it the server's own host name, and a policy that allows everything. */
export interface InviteBody {
  kind?: "node" | "organisation";
  /** The name of the node, or the purpose of an organisation secret. */
  name?: string;
  tags?: string[];
  policy?: "monitor" | "readonly" | "managed";
  /**
   * Names and patterns (`*`) of the units that people may start, stop, restart and reload. This and the next three are for a server without
   * a policy file: one that is there stays.
   */
  units?: string[] | null;
  containers?: string[] | null;
  journal?: "off" | "warning" | "all" | null;
  /** Accounts of the server that may report events, beside root. */
  events?: string[] | null;
  /** The HTTP proxy (`http://host:port`) through which the server connects to this hub. Only the invite contains it. */
  proxy?: string;
  /** Maximum number of nodes of an organisation secret, 1 to 1000 (100). */
  uses?: number | null;
  /** Days until an organisation secret expires, 1 to 90 (7). An invite for one node is valid for five minutes. */
  days?: number | null;
  /** Whether nodes of an organisation secret wait for approval (true). */
  approval?: boolean | null;
}

/** An invite without its secret. */
export interface InviteView {
  id: string;
  kind: "node" | "organisation";
  state: "open" | "used" | "expired" | "revoked";
  name: string;
  tags: string[];
  policy: string;
  units: string[];
  containers: string[];
  journal: string | null;
  events: string[];
  approval: boolean;
  most_uses: number;
  uses: number;
  /** The newest node that joined with this invite; null: none yet. */
  node_id: string | null;
  created_by: string;
  created_at: number;
  expires_at: number;
  revoked_at: number | null;
}

export interface InvitesView {
  invites: InviteView[];
  next: string | null;
  installer: InstallerView;
}

export interface JobBody {
  /** Required by install, remove, hold and unhold. An upgrade without them covers all packages. Null and an empty list are invalid. */
  packages?: string[];
  /** Required by the actions `unit-…`, and only for them: full names of services, sockets or timers of systemd, such as `nginx.service`. */
  units?: string[];
  /** Required by the action `container-restart`, and only for it: the name of a container of Docker or Podman. */
  container?: string;
  /** Required by the action `action-run`, and only for it: the name of one of the owner's own actions, as `policy.actions` lists them. */
  named_action?: string;
  action: "refresh" | "check" | "plan" | "upgrade" | "full-upgrade" | "security-upgrade" | "install" | "remove" | "autoremove" | "hold" | "unhold" | "clean" | "repair" | "unit-start" | "unit-stop" | "unit-restart" | "unit-reload" | "container-restart" | "action-run" | "reboot";
  /** The action that `plan` simulates. */
  for?: "upgrade" | "full-upgrade" | "security-upgrade" | "install" | "remove" | "autoremove";
  /** Digest of the approved plan. If the node's plan differs now, the job ends with job.plan_changed before any change. */
  plan?: string;
  /**
   * Whether to reboot after the upgrade, unless the node reports that none is due. After one that failed in part: only if one is due, and never
   * while packages are broken or what starts the server is not up to date; the error then says so.
   */
  reboot?: boolean;
  /** Why this job may change a node in spite of a freeze, 1 to 200 characters. Only an admin may, with a password check; the audit log has it. */
  override_freeze?: string;
}

export interface JobChange {
  job: JobView;
}

export interface JobChunk {
  output: Uint8Array;
  offset: number;
}

export interface JobErrorView {
  code: string;
  message: string;
}

export interface JobMarksView {
  marks: MarkView[];
  /** From where to read on; null: these are all. */
  next_offset: number | null;
}

export interface JobView {
  packages: string[];
  units: string[];
  container: string | null;
  named_action: string | null;
  id: string;
  node_id: string;
  action: string;
  for: string | null;
  /** Digest of the approved plan; null: none. */
  plan: string | null;
  reboot: boolean;
  state: "queued" | "dispatched" | "accepted" | "running" | "succeeded" | "failed" | "cancelled" | "interrupted" | "expired" | "unknown";
  phase: "refresh" | "plan" | "waiting_lock" | "download" | "commit" | "triggers" | "check" | null;
  progress_percent: number | null;
  /** The current package. */
  package: string;
  /** The node's remark on the progress, such as the holder of the lock. */
  note: string;
  /** `note` as a code and its facts. null: it has none. */
  note_coded: CodedTextView | null;
  exit_code: number | null;
  /** Bytes of output that the hub stores. */
  output_bytes: number;
  /** Bytes that the job printed. More than `output_bytes` if some could not be stored. */
  output_total_bytes: number;
  output_sha256: string | null;
  last_output_at: number | null;
  /** Digest of the plan at `/plan`. null: there is no complete plan. */
  plan_digest: string | null;
  /** Whether a report exists at `/report`. */
  has_report: boolean;
  /** Whether the server came back from this reboot without something that ran, listened or was mounted before it. */
  lost: boolean;
  stop: StopView | null;
  batch_id: string | null;
  /** The job that this one follows. */
  follows: string | null;
  created_by: string;
  created_at: number;
  started_at: number | null;
  ended_at: number | null;
  changes: ChangeView[];
  /** Why the job failed; for a running job: its present problem (job.orphaned, job.overdue). */
  error: JobErrorView | null;
  /** Grows with each change: the view with the higher number is newer. */
  version: number;
}

/** The new and changed jobs of the topic, and the ids of jobs that left it. */
export interface JobsChange {
  jobs: JobView[];
  gone: string[];
}

export interface JobsData {
  /** Newest first. */
  jobs: JobView[];
}

export interface JobsView {
  jobs: JobView[];
  next: string | null;
  /** With `?folded=true`, the batches that these jobs belong to; else empty. */
  batches: BatchSummaryView[];
}

export interface JournalBody {
  /** Full name of a service, socket or timer of systemd, such as `nginx.service`. */
  unit: string;
  /** How many lines, 1 to 200. */
  lines?: number;
  /** Warnings and worse, or all lines that the node's owner shows. */
  level?: "warning" | "all";
}

/** The jump host of a server (`ssh -J`). Without a key or password it gets the credentials of the server. */
export interface JumpBody {
  private_key?: string | null;
  passphrase?: string | null;
  password?: string | null;
  /** An OpenSSH user certificate for the private key, as one line (`ssh-ed25519-cert-v01@openssh.com …`). */
  certificate?: string | null;
  host: string;
  port?: number;
  username?: string | null;
  /** The expected fingerprint (`SHA256:…`). */
  host_key?: string | null;
}

/** The log-in of a jump host (`ssh -J`). */
export interface JumpLoginBody {
  private_key?: string | null;
  passphrase?: string | null;
  password?: string | null;
  /** An OpenSSH user certificate for the private key, as one line (`ssh-ed25519-cert-v01@openssh.com …`). */
  certificate?: string | null;
  host: string;
  port?: number;
  username?: string | null;
}

/** The jump host of a deployment. */
export interface JumpView {
  host: string;
  port: number;
  username: string;
  /** The fingerprint of the confirmed host key; null: not confirmed. */
  fingerprint: string | null;
}

export interface KeptView {
  package: string;
  /** The available version that is not installed. */
  version: string;
  reason: "held" | "phased" | "pinned" | "needs_new" | "needs_removal" | "unresolvable" | "other";
}

export interface KillBody {
  node_id: string;
  /** The name of the node. */
  confirm: string;
}

export interface LineNoteView {
  line: number;
  message: string;
}

export interface LineProblemView {
  line: number;
  code: "not_understood" | "host_missing" | "host_invalid" | "port_invalid" | "user_invalid" | "name_invalid" | "tags_invalid" | "host_key_invalid" | "jump_invalid" | "jump_chain" | "proxy_command" | "secret_column" | "header_missing" | "duplicate" | "duplicate_name" | "name_taken" | "target_not_allowed" | "line_too_long" | "too_many";
  message: string;
}

export interface LinkBody {
  token: string;
  verb?: "acknowledge" | "snooze";
  /** The end of a snooze in Unix seconds, at most a day from now; null: an hour from now. */
  until_at?: number | null;
}

export interface LinkView {
  verb: "acknowledge" | "snooze";
  alert: LinkedAlertView;
}

export interface LinkedAlertView {
  id: string;
  rule_id: string;
  object: string;
  level: "warning" | "critical";
  state: "firing" | "resolved";
  acknowledged: boolean;
  snoozed_until: number | null;
}

export interface ListProblemView {
  code: "not_understood" | "host_missing" | "host_invalid" | "port_invalid" | "user_invalid" | "name_invalid" | "tags_invalid" | "host_key_invalid" | "jump_invalid" | "jump_chain" | "proxy_command" | "secret_column" | "header_missing" | "duplicate" | "duplicate_name" | "name_taken" | "target_not_allowed" | "line_too_long" | "too_many";
  /** host, port, username, name, tags, host_key or jump; empty: the row as a whole. */
  field: string;
  message: string;
}

/** A jump host of a host list. It has the credentials of the common `jump` if host and port are the same, else those of the server. */
export interface ListedJumpBody {
  host: string;
  port?: number;
  username?: string | null;
  host_key?: string | null;
}

export interface ListedJumpView {
  host: string;
  port: number;
  username: string | null;
}

export interface ListedServerView {
  line: number;
  host: string;
  port: number;
  /** null: the list has no value. */
  username: string | null;
  name: string | null;
  tags: string[];
  host_key: string | null;
  jump: ListedJumpView | null;
  notes: string[];
  /** Empty: the row is valid. */
  problems: ListProblemView[];
}

export interface LiveHello {
  /** Id of this start of the hub. After a change, sequence numbers restart. */
  hub_id: string;
  /** Build of the page. After a change, a newer page is available. */
  build: string;
  now: number;
  /** When the hub started. A node that was last seen earlier has not reconnected. */
  started_at: number;
  /** Unix seconds; a day from now if the connection belongs to no session that ends. */
  session_expires_at: number;
}

/** Request on the hub's machine to create nodes and return their keys. */
export interface LocalEnrolBody {
  names: string[];
  simulated?: boolean;
  address?: string;
}

export interface LocalTokenBody {
  name: string;
  role?: "admin" | "operator" | "viewer";
  /** How long the token is valid: 1 to 365 days. */
  days?: number;
  grants?: GrantsBody | null;
  sensitive?: boolean;
  username?: string;
}

/** Where a node is, and who says so: a user, the node (its owner's file), or its name (patterns of the hub's settings). */
export interface LocationView {
  location: string;
  by: "user" | "node" | "name";
}

export interface LogLineView {
  /** By the node's clock. */
  at: number;
  /** 0 (emergency) to 7 (debug), as syslog(3) counts. */
  priority: number;
  /** The unit, else the program. */
  source: string;
  text: string;
  /** Lines before this line that the node dropped, since there were too many. */
  left_out: number;
}

export interface LoginBody {
  username: string;
  password: string;
  /** The six digits of the app, or a recovery code. If the user has a second factor and this is missing: 401 `auth.totp_required`. */
  totp?: string | null;
  setup_code?: string | null;
  /** In place of a code. 401 `auth.totp_required` has a challenge for it in `facts.passkey`, if the user has one. */
  passkey?: AssertionBody | null;
}

export interface LoginView {
  token: string;
  expires_at: number;
  csrf_token: string;
  user: UserView;
  /** Whether the user belongs to several organisations, and so has to name one: `GET /auth/me` lists them. */
  several_organisations: boolean;
}

export interface LogsView {
  /** Empty if the node's owner does not enable log lines. */
  lines: LogLineView[];
  next: string | null;
}

/** A window in which alerts of the selected nodes are shown but not sent. */
export interface MaintenanceBody {
  select: SelectBody;
  /** Unix seconds; null: now. */
  from_at?: number | null;
  /**
   * Unix seconds, required for a single window: at most 90 days after its start, or 7 days if it selects all nodes.
   *
   * A weekly window ends at most 366 days after its start, which is also the default. An API token may only open single windows that end
   * within 24 hours, for tags or nodes.
   */
  until_at?: number | null;
  reason?: string;
  weekly?: WeeklyBody | null;
  /** The time zone of a weekly window, such as Europe/Budapest. */
  zone?: string | null;
}

export interface MaintenanceView {
  id: string;
  select: SelectView;
  from_at: number;
  until_at: number | null;
  reason: string;
  weekly: WeeklyView | null;
  zone: string | null;
  /** A job or deployment opens its own window, with the id of the job or deployment. */
  origin: "user" | "job" | "deployment";
  created_by: string;
  created_at: number;
  closed_at: number | null;
  /** Whether the window is open now. */
  active: boolean;
  /** The start of the present or next occurrence; null: the window is over. */
  next_from_at: number | null;
  next_until_at: number | null;
}

export interface MaintenancesView {
  maintenance: MaintenanceView[];
}

/** The settings for many servers. An entry of `servers` overrides them. */
export interface ManyDeploymentsBody {
  private_key?: string | null;
  passphrase?: string | null;
  password?: string | null;
  /** An OpenSSH user certificate for the private key, as one line (`ssh-ed25519-cert-v01@openssh.com …`). */
  certificate?: string | null;
  sudo_password?: string | null;
  /** Names and patterns (`*`) of the units that people may start, stop, restart and reload. */
  units?: string[] | null;
  containers?: string[] | null;
  journal?: "off" | "warning" | "all" | null;
  /** Accounts of the server that may report events, beside root. */
  events?: string[] | null;
  /** Log in with the hub's own SSH key (`GET hub-key`), in place of a key or password. */
  use_hub_key?: boolean;
  tags?: string[] | null;
  keep_credentials?: boolean;
  install_python?: boolean;
  /** The mode of a new policy file. A file that is on the server stays. */
  policy?: "monitor" | "readonly" | "managed";
  jump?: JumpBody | null;
  /** The HTTP proxy (`http://host:port`) through which the server connects to this hub. */
  proxy?: string | null;
  /** 1 to 200 servers. */
  servers: ServerBody[];
  username?: string | null;
}

/** A piece of output. */
export interface MarkView {
  /** When the node read it, in Unix milliseconds by its own clock. */
  at_ms: number;
  /** Of its first byte. */
  offset: number;
}

export interface MeView {
  user: UserView;
  csrf_token: string;
  expires_at: number;
  /** Whether the caller administers the hub: its organisations, settings and backups. */
  instance_admin: boolean;
  /** Whether the hub has more than one organisation. */
  many_organisations: boolean;
  /** The organisation of this request; null: it names none, and the caller does not belong to exactly one. */
  organisation: string | null;
  /** Those that the caller belongs to. */
  organisations: OwnOrganisationView[];
  /** The provider of single sign-on through which this session was opened; empty: a password. */
  provider: string;
}

export interface MemberPatch {
  role?: "admin" | "operator" | "viewer" | null;
  grants?: GrantsBody | null;
  /** True: the member sees every node. It cannot be combined with `grants`. */
  all_nodes?: boolean;
}

export interface MemberView {
  username: string;
  role: "admin" | "operator" | "viewer";
  /** Null: every node. */
  grants: GrantsView | null;
  disabled: boolean;
  totp_enabled: boolean;
  /** `local`, or `oidc:<provider>` if a log-in there made the membership. */
  source: string;
  /** When a break-glass membership ends; null: the membership has no end. */
  until: number | null;
  /** Of a break-glass membership. */
  reason: string;
  /** Whether the caller may manage the account itself: reset its password, disable it. Otherwise only the membership. */
  whole: boolean;
  last_seen_at: number | null;
}

export interface MembersView {
  members: MemberView[];
  offers: OfferView[];
  next: string | null;
}

export interface MetricView {
  name: string;
  unit: string;
  rhythm: number;
  kind: "gauge" | "counter";
  labels: string[];
  /** Whether the hub computes this metric from others, for the rules of alerts. It has no history. */
  derived: boolean;
}

export interface MetricsView {
  metrics: MetricView[];
}

/** A weekday of each month, such as the second Tuesday. */
export interface MonthlyBody {
  nth: "first" | "second" | "third" | "fourth" | "last";
  day: "mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun";
}

/** What a job is asked to do its action to: a field for each row of `ARG_KINDS`. */
export interface NamesBody {
  /** Required by install, remove, hold and unhold. An upgrade without them covers all packages. Null and an empty list are invalid. */
  packages?: string[];
  /** Required by the actions `unit-…`, and only for them: full names of services, sockets or timers of systemd, such as `nginx.service`. */
  units?: string[];
  /** Required by the action `container-restart`, and only for it: the name of a container of Docker or Podman. */
  container?: string;
  /** Required by the action `action-run`, and only for it: the name of one of the owner's own actions, as `policy.actions` lists them. */
  named_action?: string;
}

/** As in `NamesBody`; the fields of other kinds are empty. */
export interface NamesView {
  packages: string[];
  units: string[];
  container: string | null;
  named_action: string | null;
}

export interface NeedsEventBody {
  /** A type of event, such as `backup_completed`, or the name of a custom event. */
  type: string;
  within_s: number;
}

/** Why no schedule may touch a node, and who said so. */
export interface NeverView {
  reason: string;
  by: string;
}

/** A new invite with its secret, which is shown once. */
export interface NewInviteView {
  invite: string;
  /** The shortest command: it pipes `install.sh` into a shell. The script asks for the invite on the terminal. */
  short: string;
  /** The same for a server without curl: with wget, and with Python. Empty: a key is pinned, so only `command` and `line` do. */
  without_curl: string[];
  /** The command with the invite, for a shell of root or with sudo. */
  command: string;
  /** The command for shells that save pasted text (zsh, fish). It reads the invite from a prompt or from standard input. */
  line: string;
  expires_at: number;
  installer: InstallerView;
  /** Whether the hub does not know its address for other machines (`--server-url`). */
  this_machine_only: boolean;
  info: InviteView;
}

export interface NewMemberBody {
  username: string;
  /** A provider of single sign-on. `username` is an address of e-mail there then, which the provider must confirm at the log-in. */
  provider?: string | null;
  role?: "admin" | "operator" | "viewer";
  /** Without it the member sees every node, as an admin always does. */
  grants?: GrantsBody | null;
}

export interface NewOrganisationBody {
  /** 2 to 40 of a-z, 0-9 and -, beginning with a letter. */
  slug: string;
  /** 1 to 60 characters. */
  name: string;
  node_quota?: number | null;
  /** The user name of the first admin. An unknown name becomes an account; a known user must accept; the caller joins at once. */
  first_admin?: string | null;
}

export interface NewOrganisationView {
  organisation: OrganisationView;
  first_admin: FirstAdminView | null;
}

/** A new passkey, as the browser gives it (WebAuthn), each part as base64url. */
export interface NewPasskeyBody {
  name: string;
  credential: string;
  client_data: string;
  attestation_object: string;
}

export interface NewProviderBody {
  /** The text of the button. */
  title: string;
  /** Exactly as the provider calls itself, with or without the slash at its end. */
  issuer: string;
  client_id: string;
  /** Sealed, and never shown again. Null: a public client. Left out: the one that is sealed stays; a new provider has none. */
  client_secret?: string | null;
  enabled?: boolean;
  scopes?: string[];
  /** Certificates of the authorities that may sign the provider's certificate; empty: those of the system. */
  ca_pem?: string;
  /** Whether an unknown user gets an account, if a row gives them a membership. */
  create_accounts?: boolean;
  /** Values of `amr` that prove a second factor; null: the usual ones. */
  methods?: string[] | null;
  /** Values of `acr` that prove a second factor. */
  levels?: string[];
  /** In their order: of the rows for one organisation the first that fits counts. */
  groups?: GroupRowBody[];
  /** The version that was read. If another one is stored by now: 409. Null: any. */
  version?: number | null;
  /** In addresses: 1 to 32 of a-z, 0-9 and `-`. */
  name: string;
}

export interface NewTokenBody {
  name: string;
  role?: "admin" | "operator" | "viewer";
  /** How long the token is valid: 1 to 365 days. */
  days?: number;
  grants?: GrantsBody | null;
  sensitive?: boolean;
}

/** The token for `Authorization: Bearer`, shown once. */
export interface NewTokenView {
  token: string;
  info: ApiTokenView;
}

export interface NewUserBody {
  username: string;
  role: "admin" | "operator" | "viewer";
  /** Without it the user sees every node, as an admin always does. */
  grants?: GrantsBody | null;
}

export interface NextPatchView {
  node_id: string;
  /** Names of the enabled patch policies that select it. */
  policies: string[];
  /** When the first of them is due, in Unix seconds; null: never, or they are paused. */
  next_at: number | null;
}

export interface NextPatchesView {
  /** A node that is not in it is under no patch policy. */
  nodes: NextPatchView[];
}

export interface NextView {
  due_at: number;
  /** As local time of `zone`. */
  local: string;
  zone: string;
  /** A change of the clocks skips or repeats this local time: it runs once. */
  shifted: "" | "skipped" | "repeated";
}

/** What a call that takes no body may be sent: an empty object. */
export type NoBody = Record<string, never>;

/** New values (`latest`), a changed record (`node`), or a new table. */
export interface NodeChange {
  latest: Record<string, Sample>;
  node: NodeView | null;
  table: TableView | null;
}

export interface NodeChangeView {
  node_id: string | null;
  at: number;
  kind: "package" | "unit" | "kernel" | "boot" | "mount" | "listener" | "agent" | "policy" | "job" | "alert" | "rollout" | "file";
  object: string;
  from: string;
  to: string;
  source: string;
  job_id: string | null;
  /** Of `?at=`: higher is nearer. It says that the change came before, and never that it was the cause. */
  rank: number | null;
  why: string;
}

export interface NodeChangesView {
  changes: NodeChangeView[];
  /** Of `?at=` with `?metric=` cpu or memory, for one node: the processes that used most more than ten minutes before. null: not known. */
  risen: RisenView[] | null;
}

export interface NodeDayView {
  node_id: string;
  /** arrived_late: the event happened in time and was reported late. late: the event happened after the deadline and its grace. */
  state: "met" | "missed" | "arrived_late" | "late" | "not_judged";
  /** When the event happened, in Unix seconds. */
  at: number | null;
  received_at: number | null;
  /** How many seconds after `by` the event happened. */
  late_s: number | null;
}

export interface NodeEventBody {
  /** A type that programs may report (docs/events.md). */
  type: string;
  message: string;
  /** null: the severity of the type. */
  severity?: "info" | "warning" | "error" | null;
  /** At most 16 short texts and numbers. */
  details?: Record<string, string | number | number> | null;
  /** When the event happened, in Unix seconds; null: now. */
  at?: number | null;
  /** The caller's own id of the event. An event that is sent again with the same id is stored once. */
  event_id?: string | null;
}

export interface NodeHealthView {
  /** The level of the worst finding. unknown: the server does not report, and no alert is raised yet. */
  level: "ok" | "notice" | "warning" | "critical" | "unknown";
  /** The worst first. */
  findings: FindingView[];
  /** How many findings are left out: the worst 20 are listed. */
  more: number;
}

/** What the policy would do on one node, by the newest list of the node. */
export interface NodePackagesView {
  node_id: string;
  wave: number;
  take: number;
  waiting: number;
  left_out: number;
  /** Which of those the node itself does not take, and why; empty: none. */
  kept_back: string;
  /** When the package manager last got its lists; null: not known, or a list is missing. */
  checked_at: number | null;
}

export interface NodePatch {
  name?: string | null;
  tags?: string[] | null;
  note?: string | null;
  /** Why no schedule may touch the node; empty: schedules may. */
  never_by_schedule?: string | null;
  /** Where the node is, such as cloud, home or work; empty: as the node or its name says. */
  location?: string | null;
}

export interface NodeUpdateView {
  node_id: string;
  from: string;
  to: string;
  security: "yes" | "no" | "unknown";
  repository: string;
  /** Whether the package is on hold. */
  held: boolean;
}

export interface NodeUpdatesView {
  nodes: NodeUpdateView[];
  total: number;
  next: string | null;
}

export interface NodeView {
  id: string;
  name: string;
  address: string;
  state: "pending" | "online" | "offline";
  /** Whether the node may still reconnect: it was connected before the hub restarted less than two minutes ago. */
  reconnecting: boolean;
  tags: string[];
  identity: IdentityView;
  /** Samples by series name. A list contains only a summary. */
  latest: Record<string, Sample>;
  agent_version: string;
  last_seen_at: number | null;
  policy: PolicyView | null;
  updates: UpdatesView;
  reboot_required: "yes" | "no" | "unknown";
  created_at: number;
  credentials_kept: boolean;
  simulated: boolean;
  /** Whether the node waits for approval, since it joined with an organisation secret. */
  waiting: boolean;
  /** Whether the node's unit files are older than this release's. An update of Spider keeps them; a new deployment replaces them. */
  units: "current" | "older" | "unknown";
  /** The node's Spider compared with the hub's bundle. outdated = another version, which `stardust update` replaces. */
  agent: "current" | "outdated" | "unknown";
  /** Whole seconds by which the node's clock is ahead, measured within the last minute. null: unknown or not connected. */
  clock_skew_seconds: number | null;
  /** The key generation that the node last proved. `rekey` issues the next one. */
  keys_generation: number;
  /** Free text of users. */
  note: string;
  /** Set: no patch policy touches the node. */
  never_by_schedule: NeverView | null;
  /** null: not known. */
  location: LocationView | null;
  /** The last day of security updates for its release, such as 2028-06-30; null: not known. */
  supported_until: string | null;
  /** The named actions that its owner's policy file allows. */
  actions: string[];
  /** What else patches it, such as unattended-upgrades, with commas between; empty: nothing; null: not known. */
  other_patcher: string | null;
  health: NodeHealthView;
}

export interface NodesView {
  nodes: NodeView[];
  next: string | null;
}

export interface NotBegunView {
  node_id: string;
  code: string;
  message: string;
}

export interface NotRetriedView {
  deployment: string;
  /** `credentials_required`: the hub has no log-in for it any more. `deployment.jump_credentials_required`: none for its jump host (`jumps`). */
  code: string;
  message: string;
}

/** Nodes that a selection leaves out. */
export interface NotSelect {
  tags?: string[];
  nodes?: string[];
}

/** An empty body. */
export type Nothing = Record<string, never>;

/** Numbers of deliveries in the last 24 hours, and the channels that do not work. */
export interface NotificationsView {
  since_at: number;
  sent: number;
  deferred: number;
  skipped: number;
  failed: number;
  /** The number of messages in the states `due` and `sending`. */
  due: number;
  /** How many messages were skipped, deferred or failed, by reason. */
  reasons: Record<string, number>;
  /** When the oldest unsent message became due. */
  oldest_due_at: number | null;
  /** Names of channels. */
  channels_broken: string[];
  channels_retrying: string[];
  /** Whether an alert fires that channels would be notified of, while no channel ever passed a test or got a message. */
  nobody_told: boolean;
}

/** A freeze of these nodes, or an opening of their windows, from this moment. */
export interface NowBody {
  kind: "freeze" | "open";
  select: PatchSelect;
  reason: string;
  /** 0: until somebody ends it, which only a freeze may. An opening lasts 24 hours at most. */
  length_s?: number;
}

export interface OccurrenceView {
  policy_id: string;
  due_at: number;
  until_at: number;
  local: string;
  zone: string;
  state: "planned" | "waiting_approval" | "started" | "missed" | "skipped";
  why: string;
  rollout_id: string | null;
  approvals: ApprovalView[];
  approvals_needed: number;
  /** What an approval confirms; null: no notice was given yet, or no approval is asked for. */
  packages: PairView[] | null;
}

export interface OccurrencesView {
  occurrences: OccurrenceView[];
}

export interface OfferAnswerBody {
  /** The short name of the organisation. */
  organisation: string;
  accept: boolean;
}

/** A membership that waits for its user. Perhaps nobody has the name. */
export interface OfferView {
  username: string;
  role: "admin" | "operator" | "viewer";
  grants: GrantsView | null;
  made_by: string;
  made_at: number;
  /** The provider at which `username` is an address of e-mail; empty: it is a user name. */
  issuer: string;
}

/** A one-time password, shown once. It expires after 24 hours, and after a log-in with it only the password can be changed. */
export interface OneTimePasswordView {
  user: AccountView;
  password: string;
}

/** Waves: canaries, then `percent` of the targets, then the rest in waves of 25; or groups of tags, one after the other. */
export interface OrderBody {
  /** null: 1 for up to 4 targets, 2 from 5 on. */
  canary?: number | null;
  percent?: number;
  at_once?: number;
  groups?: string[];
}

/** One order for many nodes, as far as the caller may see it. */
export interface OrderView {
  id: string;
  kind: "jobs" | "deployments";
  /** The verb of its jobs, or the kind of its deployments. */
  action: string;
  /** The verb that its jobs plan; null: they are no plans. */
  for_action: string | null;
  by: string;
  /** State -> number of its jobs or deployments. `incomplete`: succeeded, but not everything came back. */
  states: Record<string, number>;
}

export interface OrganisationPatch {
  /** As read; another one answers 409. */
  version: number;
  slug?: string;
  name?: string;
  node_quota?: number | null;
}

/** An organisation as the admins of the hub see it: counts, never content. */
export interface OrganisationSummaryView {
  /** The short name, for the header `Stardust-Organisation`. */
  slug: string;
  name: string;
  state: "active" | "suspended";
  /** Whether its members log in through single sign-on only. */
  sso_only: boolean;
  /** Which of its members must have a second factor. */
  require_totp: "none" | "admins" | "all";
  /** The most nodes; null: no limit. */
  node_quota: number | null;
  version: number;
  nodes: number;
  members: number;
  jobs: number;
  events: number;
  created_at: number;
  /** Whether it is the first organisation, which cannot be deleted. */
  first: boolean;
  /** Whether the caller belongs to it. */
  member: boolean;
}

export interface OrganisationView {
  /** The short name, for the header `Stardust-Organisation`. */
  slug: string;
  name: string;
  state: "active" | "suspended";
  /** Whether its members log in through single sign-on only. */
  sso_only: boolean;
  /** Which of its members must have a second factor. */
  require_totp: "none" | "admins" | "all";
  /** The most nodes; null: no limit. */
  node_quota: number | null;
  version: number;
}

export interface OrganisationsView {
  organisations: OrganisationSummaryView[];
}

export interface OverrideBody {
  select: SelectBody;
  enabled?: boolean | null;
  warn?: ThresholdBody | null;
  crit?: ThresholdBody | null;
  for_s?: number | null;
}

export interface OverrideView {
  select: SelectView;
  enabled: boolean | null;
  warn: ThresholdView | null;
  crit: ThresholdView | null;
  for_s: number | null;
}

export interface OwnOfferView {
  slug: string;
  /** Of the organisation. */
  name: string;
  role: "admin" | "operator" | "viewer";
  made_by: string;
  made_at: number;
}

export interface OwnOffersView {
  offers: OwnOfferView[];
}

export interface OwnOrganisationPatch {
  /** As read; another one answers 409. */
  version: number;
  name?: string;
  require_totp?: "none" | "admins" | "all";
}

/** An organisation that the caller belongs to. */
export interface OwnOrganisationView {
  /** The short name, for the header `Stardust-Organisation`. */
  slug: string;
  name: string;
  role: "admin" | "operator" | "viewer";
  state: "active" | "suspended";
  /** When a break-glass membership ends; null: the membership has no end. */
  until: number | null;
}

/** The organisation of the request. */
export interface OwnedOrganisationView {
  /** The short name, for the header `Stardust-Organisation`. */
  slug: string;
  name: string;
  state: "active" | "suspended";
  /** Whether its members log in through single sign-on only. */
  sso_only: boolean;
  /** Which of its members must have a second factor. */
  require_totp: "none" | "admins" | "all";
  /** The most nodes; null: no limit. */
  node_quota: number | null;
  version: number;
  nodes: number;
}

export interface PackageCountView {
  package: string;
  version: string;
  nodes: number;
  security: boolean;
}

export interface PackageUpdateView {
  package: string;
  /** yes: a security update on at least one node. */
  security: "yes" | "no" | "unknown";
  nodes: number;
  security_nodes: number;
  /** Available versions, those of most nodes first; at most 8. */
  candidates: CandidateView[];
}

export interface PackageUpdatesView {
  /** Security updates first, then by the number of nodes. */
  packages: PackageUpdateView[];
  /** Number of packages that match. */
  total: number;
  /** Number of these that are security updates. */
  security: number;
  /** Nodes whose update list the hub has. */
  told: number;
  /** Nodes without an update list: not sent yet, or not readable. */
  silent: number;
  /** Nodes with more updates than their list holds. */
  cut: number;
  /** When the oldest list was read. */
  oldest_at: number | null;
  next: string | null;
}

export interface PackagesView {
  packages: InstalledPackageView[];
  /** Number of packages that match. */
  total: number;
  /** When the hub received the last change. null: the node has not sent its packages yet. */
  taken_at: number | null;
  next: string | null;
}

/** How to open the page. */
export interface PageView {
  address: string;
  port: number;
  /** Whether the page is open to this machine alone. */
  only_here: boolean;
}

export interface PairView {
  package: string;
  version: string;
}

/** A challenge for the browser. It counts once, within five minutes. */
export interface PasskeyRequestView {
  challenge: string;
  host: string;
  /** The passkeys that the user has. */
  credentials: string[];
  /** The id of the user, for a new passkey. */
  user: string;
}

export interface PasskeyView {
  id: string;
  name: string;
  host: string;
  /** Whether it was made under the hub's present host name. Otherwise it works no more. */
  usable: boolean;
  created_at: number;
  used_at: number | null;
}

export interface PasskeysView {
  passkeys: PasskeyView[];
  /** Why none can be added; empty: one can. */
  unavailable: string;
  /** The host name to which they are bound. */
  host: string;
}

export interface PasswordBody {
  current: string;
  new: string;
}

export interface PastProcessesView {
  /** The requested time. */
  at: number;
  /** The last reading at or before that time. null: the hub has none. */
  reading: ProcessReadingView | null;
}

export interface PatchPoliciesView {
  patch_policies: PatchPolicyView[];
}

/** A patch policy. Fields that are left out have their defaults. */
export interface PatchPolicyBody {
  name: string;
  select: PatchSelect;
  when: WhenBody;
  /** A local time of day, such as 02:30. */
  start: string;
  /** How long it may take, 15 minutes to 24 hours. */
  length_s: number;
  /** A time zone such as Europe/Budapest, or `node`: each node's own. */
  zone: string;
  enabled?: boolean;
  what?: "security" | "all" | "full" | "nothing";
  /** Patterns of package names, such as postgresql-*. */
  leave_out?: string[];
  only?: string[];
  kernel?: boolean;
  /** Updates that the fleet first saw later than this wait. */
  min_age_days?: AgeBody;
  order?: OrderBody;
  max_failed?: number;
  /** Tags that name the role of a node; empty: those that begin with `role:`. */
  role_tags?: string[];
  before?: ActionBody[];
  after?: ActionBody[];
  needs_event?: NeedsEventBody | null;
  probes?: ProbeBody[];
  /** observe: gates are shown and stop nothing; failed jobs still stop it. */
  gates?: "stop" | "observe";
  watch_s?: number;
  reboot?: "never" | "if_required" | "always";
  /** At most so many reboots at the same time in a role. */
  max_per_role?: number;
  approval?: "none" | "person" | "two_persons";
  notice_h?: number;
  /** Ids of channels that get the report. */
  report?: string[];
  /** once: an occurrence that the hub missed still starts while its window is open. */
  hub_missed?: "skip" | "once";
  node_missed?: "skip" | "when_back";
}

/** Fields that are left out stay as they are. */
export interface PatchPolicyPatch {
  name?: string;
  select?: PatchSelect;
  when?: WhenBody;
  start?: string;
  length_s?: number;
  zone?: string;
  enabled?: boolean;
  what?: "security" | "all" | "full" | "nothing";
  leave_out?: string[];
  only?: string[];
  kernel?: boolean;
  min_age_days?: AgeBody;
  order?: OrderBody;
  max_failed?: number;
  role_tags?: string[];
  before?: ActionBody[];
  after?: ActionBody[];
  needs_event?: NeedsEventBody | null;
  probes?: ProbeBody[];
  gates?: "stop" | "observe";
  watch_s?: number;
  reboot?: "never" | "if_required" | "always";
  max_per_role?: number;
  approval?: "none" | "person" | "two_persons";
  notice_h?: number;
  report?: string[];
  hub_missed?: "skip" | "once";
  node_missed?: "skip" | "when_back";
  /** The version that the change is made to. */
  version: number;
  /** An admin: become the owner, with whose rights it runs. */
  take_over?: boolean;
}

export interface PatchPolicyPreviewBody {
  policy: PatchPolicyBody;
  /** The policy that is edited; null: a new one. */
  id?: string | null;
}

export interface PatchPolicyView {
  name: string;
  select: PatchSelect;
  when: WhenBody;
  /** A local time of day, such as 02:30. */
  start: string;
  /** How long it may take, 15 minutes to 24 hours. */
  length_s: number;
  /** A time zone such as Europe/Budapest, or `node`: each node's own. */
  zone: string;
  enabled: boolean;
  what: "security" | "all" | "full" | "nothing";
  /** Patterns of package names, such as postgresql-*. */
  leave_out: string[];
  only: string[];
  kernel: boolean;
  /** Updates that the fleet first saw later than this wait. */
  min_age_days: AgeBody;
  order: OrderBody;
  max_failed: number;
  /** Tags that name the role of a node; empty: those that begin with `role:`. */
  role_tags: string[];
  before: ActionBody[];
  after: ActionBody[];
  needs_event: NeedsEventBody | null;
  probes: ProbeBody[];
  /** observe: gates are shown and stop nothing; failed jobs still stop it. */
  gates: "stop" | "observe";
  watch_s: number;
  reboot: "never" | "if_required" | "always";
  /** At most so many reboots at the same time in a role. */
  max_per_role: number;
  approval: "none" | "person" | "two_persons";
  notice_h: number;
  /** Ids of channels that get the report. */
  report: string[];
  /** once: an occurrence that the hub missed still starts while its window is open. */
  hub_missed: "skip" | "once";
  node_missed: "skip" | "when_back";
  id: string;
  /** The user with whose rights it runs. */
  owner: string;
  /**
   * Why it makes no roll-outs although it is enabled: its owner may no longer act, the hub was restored from a backup, or its last
   * roll-out was stopped.
   */
  paused: "" | "owner" | "restored" | "stopped" | "suspended";
  /** When its next occurrence is due, in Unix seconds; null: never. */
  next_at: number | null;
  /** Whether your rights cover its whole selection. Otherwise `select` is only a part of it, and only somebody else may change it. */
  whole: boolean;
  version: number;
}

export interface PatchPreviewView {
  nodes: NodePackagesView[];
  packages: PackageCountView[];
  waiting_for_age: WaitingPackageView[];
  held: HeldNodeView[];
  /** The next five dates. */
  next: NextView[];
  expected_s: number;
  /** Targets of each wave. */
  waves: number[];
  warnings: WarningView[];
}

/** All nodes, or nodes by tags (one of them) and ids, without those of `not`. An empty selection is refused. */
export interface PatchSelect {
  all?: boolean;
  tags?: string[];
  nodes?: string[];
  not?: NotSelect;
}

export interface PatchStatusNode {
  node_id: string;
  name: string;
  /** null: not known. */
  security_waiting: number | null;
  /** When the fleet first saw the oldest waiting security update. */
  first_seen_at: number | null;
  age_days: number | null;
  /** What its tag promises, or else 30. */
  promise_days: number;
  in_time: "in_time" | "late" | "unknown";
  last_patched_at: number | null;
  by_policy: string | null;
  /** Why schedules do not touch the node; empty: they may. */
  held: string;
  /** Updates that the node itself does not take now, with the reason: its owner holds them, or they are phased. Empty: there are none. */
  kept_back: string;
  reboot_due_since_at: number | null;
  /** When the package manager last got its lists; null: not known, or a list is missing. */
  lists_at: number | null;
  /** What else installs updates on this host; null: nothing, or not known. */
  other_patcher: string | null;
  supported_until: string | null;
  /** Names of the patch policies that select it. */
  policies: string[];
  /** How many of their roll-outs in a row did not reach it. */
  missed: number;
  next_at: number | null;
  /** Why `next_at` is null although patch policies select the node and it bars none; empty: it is not. */
  no_date_why: string;
}

export interface PatchStatusTotal {
  in_time: number;
  late: number;
  /** Nodes without fresh data. They do not count in the share. */
  unknown: number;
}

export interface PatchStatusView {
  at: number;
  nodes: PatchStatusNode[];
  /** Releases by their end of support, the first first. Those that are not known come last. */
  support: SupportView[];
  /** When the table of ends of support was last compared with the published dates. */
  support_as_of: string;
  total: PatchStatusTotal;
}

export interface PauseBody {
  /** Both begin no further node; nodes at work finish. `wave` lets the nodes of this wave begin. */
  when?: "wave" | "now";
}

export interface PhaseView {
  state: "planning" | "ready" | "waiting" | "running" | "holding" | "paused" | "stopping" | "succeeded" | "stopped" | "cancelled" | "expired" | "failed";
  wave: number;
  from_at: number;
  /** Null: it lasts, or the roll-out has ended so. */
  to_at: number | null;
}

export interface PlanCountsView {
  upgrades: number;
  new: number;
  removals: number;
  security: number;
  kept: number;
}

export interface PlanStepView {
  package: string;
  /** Empty = new. */
  from: string;
  /** Empty = removed. */
  to: string;
  security: "yes" | "no" | "unknown";
  repository: string;
}

export interface PlanView {
  job_id: string;
  digest: string;
  /** Whether all parts have arrived. */
  complete: boolean;
  counts: PlanCountsView;
  steps: PlanStepView[];
  kept: KeptView[];
  download_bytes: number | null;
  /** Change of the used disk space; negative = it is freed. */
  installed_bytes: number | null;
  /** Whether the plan makes a reboot due. */
  reboot: "yes" | "no" | "unknown";
  reboot_why: string;
  /** `reboot_why` as a code and its facts. null: it has none. */
  reboot_why_coded: CodedTextView | null;
  /** Running services that will probably restart. */
  restarts: string[];
}

export interface PoliciesFileBody {
  /** As `GET patch-policies` gives them. A policy is found by its id, or else by its name; fields that are left out stay. */
  policies: Record<string, unknown>[];
  dry_run?: boolean;
}

/** The difference between the policy file on a server and the request. */
export interface PolicyFoundView {
  /** kept: the file stays as its owner wrote it. differs: nothing was changed, so that a person sees the difference first. */
  outcome: "kept" | "differs" | "written";
  /** The text on the server; empty: the hub cannot read it. */
  current: string;
  wanted: string;
  /** Names this difference in `policy_seen`; empty: the hub cannot change the file. */
  digest: string;
}

export interface PolicyView {
  mode: string;
  verbs: string[];
  /** Names and patterns (`*`) of the units that the actions `unit-…` may name. */
  units: string[];
  /** Lines of the journal that may be requested. */
  journal: "off" | "warning" | "all";
  /** Names and patterns (`*`) of the containers that the action `container-restart` may name. */
  containers: string[];
  /** Names of the owner's own actions that the action `action-run` may run. */
  actions: string[];
}

export interface PreferencesPatch {
  /** All saved views, at most 40 with different names. */
  views?: SavedViewBody[] | null;
  /** Whether single letters are keyboard shortcuts of the page. */
  single_keys?: boolean | null;
  /** Whether network rates are shown in bits a second instead of bytes. */
  network_bits?: boolean | null;
  /** The columns added to the fleet, in their order, and with a minus those that were taken off; at most 20 names of 1 to 60 characters. */
  columns?: string[] | null;
}

/** A user's own settings of the page. */
export interface PreferencesView {
  views: SavedViewView[];
  single_keys: boolean;
  network_bits: boolean;
  columns: string[];
}

export interface PreviewBody {
  rule: RuleBody;
  from: number;
  to: number;
}

export interface PreviewEpisode {
  /** Null: the event was about no server. */
  node_id: string | null;
  object: string;
  level: "warning" | "critical";
  since_at: number;
  until_at: number | null;
  /** Whether the rule, if it had been in force, would have sent a message of the episode. */
  told: boolean;
}

export interface PreviewView {
  would_fire: PreviewEpisode[];
  /** How many messages the rule, if it had been in force, would have sent to a channel without quiet hours. */
  told: number;
  /** Episodes per day with samples. Less than a day counts as one day. */
  per_day: number;
  /** False: there were more servers, events or episodes than a preview reads, or the samples of a server begin later. */
  complete: boolean;
}

export interface ProbeBody {
  kind: "http" | "tcp" | "unit";
  /** http: a URL on the node itself, such as http://localhost:8080/health; tcp: a port; unit: a unit of systemd. */
  target: string;
}

/** RFC 9457 `application/problem+json`. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  /** The id of this answer in the hub's log. */
  instance: string;
  facts: Record<string, unknown>;
}

export interface ProcessReadingView {
  /** By the node's clock. */
  taken_at: number;
  /** At most 10, the busiest first. */
  by_cpu: ProcessView[];
  /** At most 10, the largest first. */
  by_memory: ProcessView[];
}

export interface ProcessView {
  name: string;
  user: string;
  /** Percent of one core; null: unknown. */
  cpu: number | null;
  /** Resident set in bytes; null: unknown. */
  memory: number | null;
}

export interface ProviderBody {
  /** The text of the button. */
  title: string;
  /** Exactly as the provider calls itself, with or without the slash at its end. */
  issuer: string;
  client_id: string;
  /** Sealed, and never shown again. Null: a public client. Left out: the one that is sealed stays; a new provider has none. */
  client_secret?: string | null;
  enabled?: boolean;
  scopes?: string[];
  /** Certificates of the authorities that may sign the provider's certificate; empty: those of the system. */
  ca_pem?: string;
  /** Whether an unknown user gets an account, if a row gives them a membership. */
  create_accounts?: boolean;
  /** Values of `amr` that prove a second factor; null: the usual ones. */
  methods?: string[] | null;
  /** Values of `acr` that prove a second factor. */
  levels?: string[];
  /** In their order: of the rows for one organisation the first that fits counts. */
  groups?: GroupRowBody[];
  /** The version that was read. If another one is stored by now: 409. Null: any. */
  version?: number | null;
}

/** What the provider says about itself. */
export interface ProviderCheckView {
  authorization_endpoint: string;
  token_endpoint: string;
  /** Whether it has user information, from which missing claims are read. */
  userinfo: boolean;
  /** Whether a log-out here can end its session too. */
  logout: boolean;
  /** Whether it says that a log-out there ends the sessions here. */
  backchannel_logout: boolean;
  keys: number;
}

/** What to change; the rest stays, the client secret too. */
export interface ProviderPatch {
  /** The version that was read. If another one is stored by now: 409. */
  version: number;
  name?: string | null;
  title?: string | null;
  issuer?: string | null;
  client_id?: string | null;
  /** Null removes it. */
  client_secret?: string | null;
  enabled?: boolean | null;
  scopes?: string[] | null;
  ca_pem?: string | null;
  create_accounts?: boolean | null;
  methods?: string[] | null;
  levels?: string[] | null;
  groups?: GroupRowBody[] | null;
}

export interface ProviderView {
  name: string;
  version: number;
  title: string;
  issuer: string;
  client_id: string;
  has_secret: boolean;
  enabled: boolean;
  scopes: string[];
  ca_pem: string;
  create_accounts: boolean;
  methods: string[];
  levels: string[];
  groups: GroupRowView[];
  /** To enter at the provider, as the following two. */
  redirect_uri: string;
  signed_out_uri: string;
  backchannel_uri: string;
  /** Why the provider did not answer when it was last asked; empty: it did, or was not asked yet. */
  failure: string;
}

export interface ProvidersView {
  providers: ProviderView[];
}

/** Warnings wait until the end of these hours. */
export interface QuietHoursBody {
  start: string;
  end: string;
  zone: string;
  critical_too?: boolean;
}

export interface QuietHoursView {
  start: string;
  end: string;
  zone: string;
  critical_too: boolean;
}

/** One ordered reboot of a node. */
export interface RebootView {
  job_id: string;
  ordered_at: number;
  ended_at: number | null;
  state: string;
  /** overdue: it is under way, and the node has been away for longer than its last reboots let expect. */
  verdict: "kept" | "broken" | "not_rebooted" | "under_way" | "overdue" | "unknown";
  words: string;
  by: string;
  /** Whether the node said at the order that it needed one. */
  needed: "yes" | "no" | "unknown";
  /** Why, or why not; empty: not known. */
  need: string;
  /** The id of the boot before; null: not known. */
  boot_from: string | null;
  boot_to: string | null;
  /** From the order until its services had started, by the clock of the node; null: not known. */
  away_s: number | null;
  /** The release that ran before the reboot; null: not known. */
  kernel_from: string | null;
  kernel_to: string | null;
  /** The evidence: what is as before, and what is missing since. */
  notes: string[];
}

export interface RebootsView {
  /** So long the node may be away for a reboot, by its last ten. */
  limit_s: number;
  reboots: RebootView[];
}

export interface RecoveryBody {
  /** Whether to print the key although it was printed before. */
  again?: boolean;
}

/** Ten codes, shown once. Each is valid once. */
export interface RecoveryCodesView {
  codes: string[];
}

/** The recovery key, shown once. */
export interface RecoveryView {
  recovery: string;
}

/** The nodes to deploy again, and fields for all of them. */
export interface RedeployManyBody {
  private_key?: string | null;
  passphrase?: string | null;
  password?: string | null;
  /** An OpenSSH user certificate for the private key, as one line (`ssh-ed25519-cert-v01@openssh.com …`). */
  certificate?: string | null;
  sudo_password?: string | null;
  /** Names and patterns (`*`) of the units that people may start, stop, restart and reload. */
  units?: string[] | null;
  containers?: string[] | null;
  journal?: "off" | "warning" | "all" | null;
  /** Accounts of the server that may report events, beside root. */
  events?: string[] | null;
  use_hub_key?: boolean | null;
  keep_credentials?: boolean | null;
  install_python?: boolean | null;
  /** Changes the mode in the server's policy file: with credentials in this call, after its difference was seen. */
  policy?: "monitor" | "readonly" | "managed" | null;
  /** Omitted, like the credentials: those that are kept for each node. */
  username?: string | null;
  /** 1 to 200 ids. */
  nodes: string[];
  /** By node: the digest of the difference that may be written (`policy_found` of an earlier deployment). */
  policy_seen?: Record<string, string> | null;
}

export interface RedeployedView {
  /** With a common `batch_id`. */
  deployments: DeploymentView[];
  /** Nodes whose deployment did not begin. */
  refused: NotBegunView[];
}

export interface RefusedView {
  node_id: string;
  code: string;
  message: string;
}

export interface ReportView {
  job_id: string;
  reboot: "yes" | "no" | "unknown";
  reboot_why: string;
  /** `reboot_why` as a code and its facts. null: it has none. */
  reboot_why_coded: CodedTextView | null;
  /** Units that still run replaced code. */
  services: string[];
  /** New configuration files that the package manager saved beside the files in use. */
  config_files: ConfigFileView[];
  /** Units that failed since the job began. */
  failed_units: string[];
  notes: string[];
  /** Parallel to `notes`: each as a code and its facts. null: it has none. */
  notes_coded: (CodedTextView | null)[];
}

export interface ResetUserBody {
  username: string;
}

/** The new password, shown once. */
export interface ResetUserView {
  username: string;
  password: string;
}

/** The retention of each tier in seconds. An omitted tier stays unchanged. */
export interface RetentionPatch {
  seconds_s?: number;
  minutes_s?: number;
  hours_s?: number;
}

export interface RetriedView {
  deployments: DeploymentView[];
  /** Deployments that were not retried. */
  refused: NotRetriedView[];
}

/** Each given field replaces the earlier one. `DELETE nodes/{id}` and `POST nodes/{id}/redeploy` take this body, too. */
export interface RetryBody {
  private_key?: string | null;
  passphrase?: string | null;
  password?: string | null;
  /** An OpenSSH user certificate for the private key, as one line (`ssh-ed25519-cert-v01@openssh.com …`). */
  certificate?: string | null;
  sudo_password?: string | null;
  /** Names and patterns (`*`) of the units that people may start, stop, restart and reload. */
  units?: string[] | null;
  containers?: string[] | null;
  journal?: "off" | "warning" | "all" | null;
  /** Accounts of the server that may report events, beside root. */
  events?: string[] | null;
  username?: string | null;
  use_hub_key?: boolean | null;
  keep_credentials?: boolean | null;
  install_python?: boolean | null;
  /** Changes the mode in the server's policy file: with credentials in this call, after its difference was seen. */
  policy?: "monitor" | "readonly" | "managed" | null;
  host?: string | null;
  port?: number | null;
  name?: string | null;
  tags?: string[] | null;
  host_key?: string | null;
  /** The digest of the difference between the server's policy file and this request (409 `policy_differs`), which may be written. */
  policy_seen?: string | null;
  /** Empty: no proxy. */
  proxy?: string | null;
  /** Omitted: unchanged. null: without a jump host. The address then counts as another server. */
  jump?: JumpBody | null;
}

/** The deployments to retry, and the log-in for all of them. Everything else stays as it was. */
export interface RetryManyBody {
  private_key?: string | null;
  passphrase?: string | null;
  password?: string | null;
  /** An OpenSSH user certificate for the private key, as one line (`ssh-ed25519-cert-v01@openssh.com …`). */
  certificate?: string | null;
  /** 1 to 200 ids. */
  deployments: string[];
  username?: string | null;
  sudo_password?: string | null;
  use_hub_key?: boolean | null;
  /** Log-ins of jump hosts, each for those of the deployments that go through this host and port. None changes the way to a server. */
  jumps?: JumpLoginBody[] | null;
}

export interface RisenView {
  /** Of the process. */
  name: string;
  /** CPU: points of one core; memory: bytes. */
  amount: number;
}

/** A one-off roll-out, which plans each node first and then waits for `start`; or the next run of a patch policy, at once. */
export interface RolloutBody {
  name?: string;
  action?: "upgrade" | "security-upgrade" | "full-upgrade";
  packages?: string[];
  select?: PatchSelect | null;
  /** Run this patch policy now: with its limits, windows and freezes. Leave the other fields out. */
  policy_id?: string | null;
  order?: OrderBody;
  max_failed?: number;
  reboot?: "never" | "if_required" | "always";
  watch_s?: number;
  gates?: "stop" | "observe";
  probes?: ProbeBody[];
  report?: string[];
  /** Unix seconds; null: at once after `start`. */
  start_at?: number | null;
  /** Nothing starts later. null: 24 hours after it was made. */
  expires_at?: number | null;
}

export interface RolloutPreviewView {
  nodes: string[];
  waves: string[][];
  held: HeldNodeView[];
  expected_s: number;
}

export interface RolloutView {
  id: string;
  name: string;
  state: "planning" | "ready" | "waiting" | "running" | "holding" | "paused" | "stopping" | "succeeded" | "stopped" | "cancelled" | "expired" | "failed";
  why: string;
  words: string;
  /** Whether it runs and is at work on no server: `words` say what it waits for, and until when where that is known. */
  waits: boolean;
  /** What helps a roll-out that waits; empty: waiting does. */
  remedy: string;
  policy_id: string | null;
  due_at: number | null;
  owner: string;
  version: number;
  made_at: number;
  start_at: number;
  started_at: number | null;
  ended_at: number | null;
  close_at: number | null;
  /** Of a one-off roll-out; empty: the policy decides. */
  action: string;
  observes: boolean;
  targets: TargetCounts;
  /** The number that `start` wants. */
  confirm: number;
  waves: WaveView[];
  wave: number;
  hold_since: number | null;
  stopped_by: string;
  parent_id: string | null;
  /** Whether it has servers beyond the rights of the caller, who may not move it then. */
  beyond: boolean;
  phases: PhaseView[];
}

export interface RolloutsView {
  rollouts: RolloutView[];
  next: string | null;
}

export interface RuleBody {
  name: string;
  expr: string;
  select: SelectBody;
  when?: "above" | "below";
  warn?: ThresholdBody | null;
  crit?: ThresholdBody | null;
  for_s?: number;
  clear_s?: number;
  enabled?: boolean;
  overrides?: OverrideBody[];
}

/** Fields that are left out stay as they are. */
export interface RuleFields {
  name?: string;
  expr?: string;
  select?: SelectBody;
  when?: "above" | "below";
  warn?: ThresholdBody | null;
  crit?: ThresholdBody | null;
  for_s?: number;
  clear_s?: number;
  enabled?: boolean;
  overrides?: OverrideBody[];
}

export interface RulePatch {
  name?: string;
  expr?: string;
  select?: SelectBody;
  when?: "above" | "below";
  warn?: ThresholdBody | null;
  crit?: ThresholdBody | null;
  for_s?: number;
  clear_s?: number;
  enabled?: boolean;
  overrides?: OverrideBody[];
  /** The version of the rule on which the change is based. Another stored version is a conflict. 0: an unchanged default rule. */
  version: number;
}

export interface RuleView {
  id: string;
  name: string;
  enabled: boolean;
  select: SelectView;
  expr: string;
  when: "above" | "below";
  warn: ThresholdView | null;
  crit: ThresholdView | null;
  for_s: number;
  clear_s: number;
  overrides: OverrideView[];
  /** `default`: the rule comes with the hub. `changed` says whether a user has changed it. */
  origin: "default" | "user";
  changed: boolean;
  kind: string;
  /** The unit of the rule's value and thresholds, such as percent, seconds or bytes/s. */
  unit: string;
  /** Whether the alerts of the rule are shown and never sent. */
  notice: boolean;
  action: string | null;
  /** False: it is about the hub itself, and the caller is no admin of the hub. */
  editable: boolean;
  version: number;
}

/** A file of rules, as `stardust rules export` prints it. The hub applies all rules or none. */
export interface RulesBody {
  /** Rules with `id` and the fields of `PATCH rules/{id}`. A rule without a known id changes that of the same name, or is new. */
  rules: Record<string, unknown>[];
  /** True: check and compare the rules without a change. */
  dry_run?: boolean;
}

export interface RulesView {
  rules: RuleView[];
}

/** One value; null: it could not be measured. */
export interface Sample {
  value: number | null;
  at: number;
}

/** A named filter, order and grouping of the fleet. */
export interface SavedViewBody {
  /** 1 to 60 characters. */
  name: string;
  /** The query of the page's address without the question mark; at most 400 characters. */
  query: string;
}

export interface SavedViewView {
  name: string;
  query: string;
}

/** Selects all nodes, or nodes by tags and ids. A node needs one of the tags. An empty selection is refused. */
export interface SelectBody {
  all?: boolean;
  tags?: string[];
  nodes?: string[];
}

export interface SelectView {
  all: boolean;
  tags: string[];
  nodes: string[];
}

export interface SentencePart {
  text: string;
  /** The time in Unix seconds that `text` writes in the zone of the channel's quiet hours, or in UTC; null: words. */
  at: number | null;
}

export interface SeriesView {
  avg: (number | null)[];
  min: (number | null)[];
  max: (number | null)[];
}

/** The settings of one of many servers. */
export interface ServerBody {
  host: string;
  port?: number;
  /** Omitted: the value for all servers. */
  username?: string | null;
  name?: string | null;
  /** Added to the tags for all servers. */
  tags?: string[] | null;
  /** The expected fingerprint (`SHA256:…`). If it matches, the host key needs no confirmation. */
  host_key?: string | null;
  /** Omitted: the value for all servers. null: none. */
  jump?: ListedJumpBody | null;
}

/** A pasted host list: lines of `user@host:port`, CSV with a header, or an OpenSSH client configuration. */
export interface ServerListBody {
  /** At most 256 Ki characters, without keys and passwords. */
  text: string;
  format?: "auto" | "lines" | "csv" | "ssh_config";
}

export interface ServerListView {
  format: "lines" | "csv" | "ssh_config";
  /** At most 200. */
  servers: ListedServerView[];
  /** Parts of the list that the hub ignored. */
  notes: LineNoteView[];
  /** Problems of the whole list, or of lines without a server. */
  problems: LineProblemView[];
}

/** An active session. */
export interface SessionView {
  id: string;
  username: string;
  created_at: number;
  /** When the session was last refreshed. Its last request came at most ten minutes later. */
  last_seen_at: number;
  expires_at: number;
  address: string;
  user_agent: string;
  second_factor: boolean;
  /** The provider through which the user logged in; empty: a password. */
  provider: string;
  /** Whether this is the caller's session. */
  current: boolean;
}

export interface SessionsView {
  sessions: SessionView[];
  next: string | null;
}

export interface SettingsPatch {
  require_totp?: "none" | "admins" | "all";
  retention?: RetentionPatch;
}

export interface SettingsView {
  /** The rule in force: who must use a second factor. */
  require_totp: "none" | "admins" | "all";
  /** The minimum that STARDUST_REQUIRE_TOTP sets. The setting may be stricter, never weaker. */
  require_totp_least: "none" | "admins" | "all";
  /** Tiers, the finest first; empty: the caller is no admin of the hub. */
  retention: TierView[];
  /** Null: the caller is no admin of the hub. */
  hub: HubView | null;
}

export interface SignInAttemptView {
  at: number;
  /** `done`, or the code of the error. */
  result: string;
  reason: string;
  subject: string;
  shown: string;
  /** Each claim that a row names, with the values that came. A claim that is absent did not come. */
  claims: Record<string, string[]>;
  /** The user of this hub; empty: nobody was logged in. */
  username: string;
  address: string;
}

export interface SignInAttemptsView {
  attempts: SignInAttemptView[];
}

export interface SkipBody {
  reason?: string;
}

export interface SnoozeBody {
  /** Unix seconds; at most 30 days ahead. */
  until_at: number;
}

/** A provider as the log-in page shows it. */
export interface SsoButtonView {
  name: string;
  title: string;
  /** Whether it did not answer when it was last asked. */
  away: boolean;
}

export interface SsoButtonsView {
  providers: SsoButtonView[];
}

/** What the provider gave the browser, from the query of `/oidc`. */
export interface SsoFinishBody {
  state: string;
  code?: string;
  iss?: string;
  error?: string;
  error_description?: string;
  /** A code of the second factor, after 401 `auth.totp_required`. `state` is then `continue` of that answer. */
  totp?: string;
}

export interface SsoFinishView {
  purpose: "login" | "link" | "step_up";
  return_to: string;
  /** Of a log-in; otherwise null. */
  login: LoginView | null;
}

export interface SsoLinkView {
  id: string;
  provider: string;
  issuer: string;
  subject: string;
  /** What the provider called the user at the last log-in. */
  shown: string;
  created_at: number;
  used_at: number | null;
}

export interface SsoLinksView {
  links: SsoLinkView[];
}

export interface SsoLoggedOutView {
  /** How many sessions ended. */
  sessions: number;
}

export interface SsoLogoutView {
  /** Where the browser goes to end the provider's session too; null: nowhere. */
  location: string | null;
}

export interface SsoRulePatch {
  sso_only: boolean;
  /** A user name. Null: the caller. */
  local_admin?: string | null;
}

/** Whether the members of the organisation sign in through providers only. */
export interface SsoRuleView {
  sso_only: boolean;
  /** The admin who may still use a password; empty while it is off. */
  local_admin: string;
}

export interface SsoStartBody {
  /** The path of the page to show afterwards. */
  return_to?: string;
  /** `link` and `step_up` belong to a session. */
  purpose?: "login" | "link" | "step_up";
}

export interface SsoStartView {
  /** Where the browser goes now. The answer also sets a cookie, without which the log-in cannot be finished. */
  location: string;
}

export interface StartBody {
  /** The number of nodes that are planned and will be changed. */
  confirm: number;
  version: number;
}

export interface StepUpBody {
  password: string;
  totp?: string | null;
  /** In place of a code; `auth/passkeys/challenge` gives the challenge. */
  passkey?: AssertionBody | null;
}

export interface StepView {
  name: string;
  state: "waiting" | "running" | "done" | "failed" | "skipped";
  detail: string;
  started_at: number | null;
  ended_at: number | null;
  /** How long it waited for a person, within its time. */
  waited_s: number;
}

export interface StopView {
  /** `asked`: the node has not answered yet. Else its answer: the job stops now, after the current package, or can no longer stop. */
  state: "asked" | "now" | "after_package" | "too_late";
  why: string;
  by: string;
  at: number;
  /** Whether a hanging script may be killed. */
  force: boolean;
  /** `why` as a code and its facts. null: it has none. */
  why_coded: CodedTextView | null;
}

export interface StoredEventView {
  /** The id of the stored event. An equal event that follows within some minutes is only counted, and gets the id of the first. */
  id: string;
}

/** What an id in a row stands for. */
export interface SubjectView {
  /** Its name; of a job that of its node. Empty: it has none. */
  name: string;
  /** The verb of a job; empty: it is none. */
  action: string;
}

export interface SubscribeBody {
  topic: string;
  after?: number | null;
}

export interface SummaryView {
  since_at: number;
  info: number;
  warning: number;
  error: number;
}

/** One release of a distribution in the fleet. */
export interface SupportView {
  /** `ID` of os-release; empty: not known. */
  os_id: string;
  os_version: string;
  nodes: string[];
  /** The last day; null: not in the table of ends of support. */
  supported_until: string | null;
  /** Negative: support ended so many days ago. null: not known. */
  left_days: number | null;
}

/** The table of one subject of a node at one moment: processes, failed services, interfaces … */
export interface TableView {
  subject: string;
  taken_at: number;
  /** Number of rows on the node. The table may contain only the first rows. null: reading failed. */
  total: number | null;
  columns: ColumnView[];
  /** A null cell is unknown, or Spider may not read it. */
  rows: ((string | number | null)[])[];
}

export interface TablesView {
  /** Tables by subject. A subject that the server lacks, or that Spider has not sent yet, is absent. */
  tables: TableView[];
}

export interface TargetCounts {
  total: number;
  held: number;
  pending: number;
  running: number;
  passed: number;
  worse: number;
  failed: number;
  unknown: number;
  not_started: number;
}

export interface TargetView {
  node_id: string;
  name: string;
  wave: number;
  role: string;
  state: "pending" | "held" | "running" | "passed" | "worse" | "failed" | "unknown" | "not_started";
  step: "" | "plan" | "before" | "patch" | "reboot" | "after" | "watch";
  why: string;
  words: string;
  /** What helps a node that is held or failed; empty: waiting does, or its words say it. */
  remedy: string;
  /** The job of the present or last step. */
  job_id: string | null;
  verdict: "clear" | "worse" | "failed" | "unknown" | null;
  watched_s: number;
  watch_s: number;
  reboot_owed: string;
  rebooted: boolean;
  packages: string[];
  gates: GateView[];
}

export interface TargetsView {
  targets: TargetView[];
}

export interface TestView {
  delivery_id: string;
}

export interface ThresholdBody {
  trigger: number;
  clear: number;
}

export interface ThresholdView {
  trigger: number;
  clear: number;
}

/** The retention of one tier of the history, and its disk use. */
export interface TierView {
  tier: "1s" | "1m" | "1h";
  kept_s: number;
  /** Average size of a stored value. */
  bytes_per_value: number;
  /**
   * Whether this hub has measured `bytes_per_value`. Before its first complete chunk, that is a default.
   * A chunk covers an hour of seconds, a day of minutes, or 32 days of hours.
   */
  measured: boolean;
  /** Values per day of the nodes that sent samples within the last day. */
  values_per_day: number;
  /** The size once the whole retention is stored. */
  bytes: number;
}

export interface TimelineEntry {
  at: number;
  /** `fired` and `resolved`: of an alert. `event`: also of jobs and users. `delivery`: a message, or the reason why none was sent. */
  kind: "fired" | "resolved" | "event" | "delivery";
  alert_id: string | null;
  event: EventView | null;
  delivery: DeliveryView | null;
}

/** Body of `snapshot` and `change`. `seq` starts anywhere and grows by one with each change; for `job:<id>` it is an output offset. */
export interface TopicMessage {
  topic: string;
  seq: number;
  data: unknown;
}

export interface TotpConfirmBody {
  code: string;
}

/** A new second factor, shown once. It takes effect with `auth/totp/confirm`. */
export interface TotpView {
  /** The secret in Base32, for manual entry. */
  secret: string;
  /** The content of the QR code: `otpauth://…`. */
  uri: string;
}

export interface UnconfirmedView {
  deployment: string;
  code: string;
  message: string;
}

export interface UnitJournalView {
  unit: string;
  /** The level of these lines. warning: it was requested, or the node's owner shows no others. */
  level: "warning" | "all";
  /** How many of the requested lines did not fit into the node's answer; the oldest are left out. */
  left_out: number;
  /** Oldest first. The hub does not store them. */
  lines: UnitLineView[];
}

export interface UnitLineView {
  /** By the node's clock. */
  at: number;
  /** 0 (emergency) to 7 (debug), as syslog(3) counts. */
  priority: number;
  text: string;
}

export interface UnsubscribeBody {
  topic: string;
}

export interface UpdatesView {
  total: number | null;
  security: number | null;
  checked_at: number | null;
}

export interface UserPatch {
  role?: "admin" | "operator" | "viewer" | null;
  disabled?: boolean | null;
  grants?: GrantsBody | null;
  /** True: the user sees every node. It cannot be combined with `grants`. */
  all_nodes?: boolean;
}

export interface UserView {
  username: string;
  role: "admin" | "operator" | "viewer";
  must_change_password: boolean;
  totp_enabled: boolean;
  /** Whether a required second factor is missing. Until it is set up, other calls answer 403 `auth.totp_enrolment_required`. */
  must_enrol_totp: boolean;
  /** Whether the user can log in with a password. Otherwise a provider of single sign-on proves who they are. */
  has_password: boolean;
  /** Whether the user's rights are limited to some nodes. Such a user may not change tags, since rights depend on tags. */
  limited: boolean;
}

export interface WaitingPackageView {
  package: string;
  version: string;
  nodes: number;
  /** When the youngest node's update is old enough. */
  ripe_at: number;
  /** Each of its versions was replaced before it was old enough, for twice the age: it is never old enough. */
  superseded: boolean;
}

export interface WarningView {
  code: string;
  words: string;
}

export interface WaveView {
  index: number;
  state: "waiting" | "running" | "done";
  nodes: number;
  targets: TargetCounts;
  gates: GateView[];
}

/**
 * From `start` to `end` on these days, such as 22:00 to 02:00, in the zone of the window.
 *
 * An end before the start is on the next day. All occurrences of a week together last at most 84 hours.
 */
export interface WeeklyBody {
  days: ("mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun")[];
  start: string;
  end: string;
}

export interface WeeklyView {
  days: ("mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun")[];
  start: string;
  end: string;
}

/** One of the four is set. */
export interface WhenBody {
  weekly?: ("mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun")[] | null;
  monthly?: MonthlyBody | null;
  every_weeks?: EveryWeeksBody | null;
  /** A date such as 2026-12-24. */
  once?: string | null;
}

/** A window in which patching is allowed, or a freeze in which nothing is upgraded or rebooted. One of weekly, monthly, every_weeks and once is set. */
export interface WindowBody {
  name: string;
  select: PatchSelect;
  start: string;
  length_s: number;
  zone: string;
  weekly?: ("mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun")[] | null;
  monthly?: MonthlyBody | null;
  every_weeks?: EveryWeeksBody | null;
  once?: string | null;
  kind: "allow" | "freeze";
}

/** Fields that are left out stay as they are. A new time replaces the old one. */
export interface WindowPatch {
  version: number;
  name?: string;
  select?: PatchSelect;
  start?: string;
  length_s?: number;
  zone?: string;
  weekly?: ("mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun")[] | null;
  monthly?: MonthlyBody | null;
  every_weeks?: EveryWeeksBody | null;
  once?: string | null;
  kind?: "allow" | "freeze";
}

export interface WindowView {
  name: string;
  select: PatchSelect;
  start: string;
  length_s: number;
  zone: string;
  weekly: ("mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun")[] | null;
  monthly: MonthlyBody | null;
  every_weeks: EveryWeeksBody | null;
  once: string | null;
  id: string;
  /** `open`: a person opened it for a limited time, in addition to the windows of the nodes. */
  kind: "allow" | "freeze" | "open";
  /** Whether it is open now; of times in the zone of each node: somewhere. */
  open: boolean;
  next_at: number | null;
  /** When a person began it; null: it has times of its own. */
  began_at: number | null;
  /** When what a person began ends; null: when somebody ends it, or it has times of its own. */
  until_at: number | null;
  by: string;
  reason: string;
  version: number;
}

export interface WindowsView {
  windows: WindowView[];
}

/** What each route takes and answers, by method and path; `*` is a part that differs from call to call. */
export interface Routes {
  "DELETE auth/oidc/links/*": [takes: undefined, answers: undefined];
  "DELETE auth/oidc/providers/*": [takes: undefined, answers: undefined];
  "DELETE auth/passkeys/*": [takes: undefined, answers: undefined];
  "DELETE auth/sessions": [takes: undefined, answers: undefined];
  "DELETE auth/sessions/*": [takes: undefined, answers: undefined];
  "DELETE auth/totp": [takes: undefined, answers: undefined];
  "DELETE channels/*": [takes: undefined, answers: undefined];
  "DELETE expectations/*": [takes: undefined, answers: undefined];
  "DELETE hub-key": [takes: undefined, answers: undefined];
  "DELETE invites/*": [takes: undefined, answers: undefined];
  "DELETE maintenance/*": [takes: undefined, answers: undefined];
  "DELETE members/*": [takes: undefined, answers: undefined];
  "DELETE nodes/*": [takes: RetryBody, answers: DeploymentView];
  "DELETE organisations/*": [takes: DeleteBody, answers: undefined];
  "DELETE patch-policies/*": [takes: undefined, answers: undefined];
  "DELETE rules/*": [takes: undefined, answers: undefined];
  "DELETE tokens/*": [takes: undefined, answers: undefined];
  "DELETE windows/*": [takes: undefined, answers: undefined];
  "GET alerts": [takes: undefined, answers: AlertsView];
  "GET alerts/*": [takes: undefined, answers: AlertView];
  "GET alerts/*/deliveries": [takes: undefined, answers: DeliveriesView];
  "GET alerts/*/explain": [takes: undefined, answers: ExplainView];
  "GET audit": [takes: undefined, answers: AuditPageView];
  "GET audit/verify": [takes: undefined, answers: AuditCheckView];
  "GET auth/me": [takes: undefined, answers: MeView];
  "GET auth/offers": [takes: undefined, answers: OwnOffersView];
  "GET auth/oidc": [takes: undefined, answers: SsoButtonsView];
  "GET auth/oidc/links": [takes: undefined, answers: SsoLinksView];
  "GET auth/oidc/providers": [takes: undefined, answers: ProvidersView];
  "GET auth/oidc/providers/*": [takes: undefined, answers: ProviderView];
  "GET auth/oidc/providers/*/attempts": [takes: undefined, answers: SignInAttemptsView];
  "GET auth/oidc/rule": [takes: undefined, answers: SsoRuleView];
  "GET auth/passkeys": [takes: undefined, answers: PasskeysView];
  "GET auth/preferences": [takes: undefined, answers: PreferencesView];
  "GET auth/sessions": [takes: undefined, answers: SessionsView];
  "GET batches": [takes: undefined, answers: BatchesView];
  "GET batches/*": [takes: undefined, answers: BatchView];
  "GET changes": [takes: undefined, answers: NodeChangesView];
  "GET channels": [takes: undefined, answers: ChannelsView];
  "GET channels/kinds": [takes: undefined, answers: ChannelKindsView];
  "GET deliveries": [takes: undefined, answers: DeliveriesView];
  "GET deployments": [takes: undefined, answers: DeploymentsView];
  "GET deployments/*": [takes: undefined, answers: DeploymentView];
  "GET events": [takes: undefined, answers: EventsView];
  "GET events/summary": [takes: undefined, answers: SummaryView];
  "GET expectations": [takes: undefined, answers: ExpectationsView];
  "GET expectations/*/days": [takes: undefined, answers: DaysView];
  "GET history": [takes: undefined, answers: HistoriesView];
  "GET hub-key": [takes: undefined, answers: HubKeyStateView];
  "GET incidents": [takes: undefined, answers: IncidentsView];
  "GET incidents/*": [takes: undefined, answers: IncidentDetailView];
  "GET instance-admins": [takes: undefined, answers: InstanceAdminsView];
  "GET instance-audit": [takes: undefined, answers: AuditPageView];
  "GET invites": [takes: undefined, answers: InvitesView];
  "GET invites/*": [takes: undefined, answers: InviteView];
  "GET jobs": [takes: undefined, answers: JobsView];
  "GET jobs/*": [takes: undefined, answers: JobView];
  "GET jobs/*/marks": [takes: undefined, answers: JobMarksView];
  "GET jobs/*/output": [takes: undefined, answers: undefined];
  "GET jobs/*/plan": [takes: undefined, answers: PlanView];
  "GET jobs/*/report": [takes: undefined, answers: ReportView];
  "GET maintenance": [takes: undefined, answers: MaintenancesView];
  "GET members": [takes: undefined, answers: MembersView];
  "GET metrics": [takes: undefined, answers: MetricsView];
  "GET nodes": [takes: undefined, answers: NodesView];
  "GET nodes/*": [takes: undefined, answers: NodeView];
  "GET nodes/*/changes": [takes: undefined, answers: NodeChangesView];
  "GET nodes/*/export": [takes: undefined, answers: undefined];
  "GET nodes/*/history": [takes: undefined, answers: HistoryView];
  "GET nodes/*/logs": [takes: undefined, answers: LogsView];
  "GET nodes/*/packages": [takes: undefined, answers: PackagesView];
  "GET nodes/*/processes": [takes: undefined, answers: PastProcessesView];
  "GET nodes/*/reboots": [takes: undefined, answers: RebootsView];
  "GET nodes/*/rules": [takes: undefined, answers: EffectiveRulesView];
  "GET nodes/*/tables": [takes: undefined, answers: TablesView];
  "GET notifications/summary": [takes: undefined, answers: NotificationsView];
  "GET organisation": [takes: undefined, answers: OwnedOrganisationView];
  "GET organisations": [takes: undefined, answers: OrganisationsView];
  "GET organisations/*": [takes: undefined, answers: OrganisationSummaryView];
  "GET patch-policies": [takes: undefined, answers: PatchPoliciesView];
  "GET patch-policies/*": [takes: undefined, answers: PatchPolicyView];
  "GET patch-policies/*/occurrences": [takes: undefined, answers: OccurrencesView];
  "GET patch-policies/next": [takes: undefined, answers: NextPatchesView];
  "GET patch-status": [takes: undefined, answers: PatchStatusView];
  "GET rollouts": [takes: undefined, answers: RolloutsView];
  "GET rollouts/*": [takes: undefined, answers: RolloutView];
  "GET rollouts/*/gates": [takes: undefined, answers: GatesView];
  "GET rollouts/*/targets": [takes: undefined, answers: TargetsView];
  "GET rules": [takes: undefined, answers: RulesView];
  "GET rules/*": [takes: undefined, answers: RuleView];
  "GET settings": [takes: undefined, answers: SettingsView];
  "GET tokens": [takes: undefined, answers: ApiTokensView];
  "GET updates": [takes: undefined, answers: PackageUpdatesView];
  "GET updates/nodes": [takes: undefined, answers: NodeUpdatesView];
  "GET users": [takes: undefined, answers: AccountsView];
  "GET windows": [takes: undefined, answers: WindowsView];
  "PATCH auth/oidc/providers/*": [takes: ProviderPatch, answers: ProviderView];
  "PATCH auth/oidc/rule": [takes: SsoRulePatch, answers: SsoRuleView];
  "PATCH auth/preferences": [takes: PreferencesPatch, answers: PreferencesView];
  "PATCH channels/*": [takes: ChannelPatch, answers: ChannelView];
  "PATCH expectations/*": [takes: ExpectationPatch, answers: ExpectationView];
  "PATCH members/*": [takes: MemberPatch, answers: MemberView];
  "PATCH nodes/*": [takes: NodePatch, answers: NodeView];
  "PATCH organisation": [takes: OwnOrganisationPatch, answers: OrganisationView];
  "PATCH organisations/*": [takes: OrganisationPatch, answers: OrganisationView];
  "PATCH patch-policies/*": [takes: PatchPolicyPatch, answers: PatchPolicyView];
  "PATCH rules/*": [takes: RulePatch, answers: RuleView];
  "PATCH settings": [takes: SettingsPatch, answers: SettingsView];
  "PATCH users/*": [takes: UserPatch, answers: AccountView];
  "PATCH windows/*": [takes: WindowPatch, answers: WindowView];
  "POST agent-updates": [takes: AgentUpdatesBody, answers: DeploymentsView];
  "POST alerts/*/acknowledge": [takes: AcknowledgeBody, answers: AlertView];
  "POST alerts/*/snooze": [takes: SnoozeBody, answers: AlertView];
  "POST alerts/*/unsnooze": [takes: undefined, answers: AlertView];
  "POST alerts/acknowledge": [takes: AcknowledgeManyBody, answers: AlertsView];
  "POST auth/login": [takes: LoginBody, answers: LoginView];
  "POST auth/logout": [takes: undefined, answers: undefined];
  "POST auth/offers": [takes: OfferAnswerBody, answers: undefined];
  "POST auth/oidc/*/backchannel": [takes: undefined, answers: SsoLoggedOutView];
  "POST auth/oidc/*/start": [takes: SsoStartBody, answers: SsoStartView];
  "POST auth/oidc/finish": [takes: SsoFinishBody, answers: SsoFinishView];
  "POST auth/oidc/logout": [takes: undefined, answers: SsoLogoutView];
  "POST auth/oidc/providers": [takes: NewProviderBody, answers: ProviderView];
  "POST auth/oidc/providers/*/check": [takes: undefined, answers: ProviderCheckView];
  "POST auth/passkeys": [takes: NewPasskeyBody, answers: PasskeyView];
  "POST auth/passkeys/challenge": [takes: undefined, answers: PasskeyRequestView];
  "POST auth/password": [takes: PasswordBody, answers: LoginView];
  "POST auth/recovery-codes": [takes: undefined, answers: RecoveryCodesView];
  "POST auth/refresh": [takes: undefined, answers: LoginView];
  "POST auth/step-up": [takes: StepUpBody, answers: undefined];
  "POST auth/totp": [takes: undefined, answers: TotpView];
  "POST auth/totp/confirm": [takes: TotpConfirmBody, answers: RecoveryCodesView];
  "POST batches/*/cancel": [takes: undefined, answers: BatchView];
  "POST channels": [takes: ChannelBody, answers: ChannelView];
  "POST channels/*/test": [takes: undefined, answers: TestView];
  "POST channels/preview": [takes: FormatPreviewBody, answers: FormatPreviewView];
  "POST deliveries/*/retry": [takes: undefined, answers: DeliveryView];
  "POST deployments": [takes: DeploymentBody, answers: DeploymentView];
  "POST deployments/*/cancel": [takes: undefined, answers: DeploymentView];
  "POST deployments/*/host-key": [takes: HostKeyBody, answers: DeploymentView];
  "POST deployments/*/retry": [takes: RetryBody, answers: DeploymentView];
  "POST deployments/again": [takes: RedeployManyBody, answers: RedeployedView];
  "POST deployments/host-keys": [takes: HostKeysBody, answers: ConfirmedView];
  "POST deployments/many": [takes: ManyDeploymentsBody, answers: DeploymentsView];
  "POST deployments/preview": [takes: ServerListBody, answers: ServerListView];
  "POST deployments/retry": [takes: RetryManyBody, answers: RetriedView];
  "POST events": [takes: EventBody, answers: StoredEventView];
  "POST expectations": [takes: ExpectationBody, answers: ExpectationView];
  "POST hub-key": [takes: HubKeyBody, answers: HubKeyStateView];
  "POST instance-admins": [takes: InstanceAdminBody, answers: undefined];
  "POST invites": [takes: InviteBody, answers: NewInviteView];
  "POST jobs": [takes: BatchBody, answers: BatchView];
  "POST jobs/*/cancel": [takes: CancelBody, answers: JobView];
  "POST links/alert": [takes: LinkBody, answers: LinkView];
  "POST maintenance": [takes: MaintenanceBody, answers: MaintenanceView];
  "POST members": [takes: NewMemberBody, answers: undefined];
  "POST nodes/*/approve": [takes: undefined, answers: NodeView];
  "POST nodes/*/events": [takes: NodeEventBody, answers: StoredEventView];
  "POST nodes/*/jobs": [takes: JobBody, answers: JobView];
  "POST nodes/*/journal": [takes: JournalBody, answers: UnitJournalView];
  "POST nodes/*/redeploy": [takes: RetryBody, answers: DeploymentView];
  "POST nodes/*/reject": [takes: undefined, answers: undefined];
  "POST nodes/*/rekey": [takes: undefined, answers: JobView];
  "POST organisations": [takes: NewOrganisationBody, answers: NewOrganisationView];
  "POST organisations/*/break-glass": [takes: BreakGlassBody, answers: BreakGlassView];
  "POST organisations/*/remove-agents": [takes: undefined, answers: AgentsView];
  "POST organisations/*/resume": [takes: undefined, answers: OrganisationView];
  "POST organisations/*/suspend": [takes: undefined, answers: OrganisationView];
  "POST patch-policies": [takes: PatchPolicyBody, answers: PatchPolicyView];
  "POST patch-policies/*/occurrences/*/approve": [takes: undefined, answers: OccurrenceView];
  "POST patch-policies/*/occurrences/*/skip": [takes: SkipBody, answers: OccurrenceView];
  "POST patch-policies/apply": [takes: PoliciesFileBody, answers: AppliedPoliciesView];
  "POST patch-policies/preview": [takes: PatchPolicyPreviewBody, answers: PatchPreviewView];
  "POST patch-policies/resume": [takes: undefined, answers: PatchPoliciesView];
  "POST rollouts": [takes: RolloutBody, answers: RolloutView];
  "POST rollouts/*/go-on": [takes: GoOnBody, answers: RolloutView];
  "POST rollouts/*/kill": [takes: KillBody, answers: RolloutView];
  "POST rollouts/*/pause": [takes: PauseBody, answers: RolloutView];
  "POST rollouts/*/resume": [takes: undefined, answers: RolloutView];
  "POST rollouts/*/retry-rest": [takes: undefined, answers: RolloutView];
  "POST rollouts/*/start": [takes: StartBody, answers: RolloutView];
  "POST rollouts/*/stop": [takes: undefined, answers: RolloutView];
  "POST rollouts/*/take-over": [takes: undefined, answers: RolloutView];
  "POST rollouts/preview": [takes: RolloutBody, answers: RolloutPreviewView];
  "POST rules": [takes: RuleBody, answers: RuleView];
  "POST rules/apply": [takes: RulesBody, answers: AppliedRulesView];
  "POST rules/preview": [takes: PreviewBody, answers: PreviewView];
  "POST tokens": [takes: NewTokenBody, answers: NewTokenView];
  "POST users": [takes: NewUserBody, answers: OneTimePasswordView];
  "POST users/*/password": [takes: undefined, answers: OneTimePasswordView];
  "POST windows": [takes: WindowBody, answers: WindowView];
  "POST windows/now": [takes: NowBody, answers: WindowView];
  "PUT auth/oidc/providers/*": [takes: ProviderBody, answers: ProviderView];
}

/** What the page sends on the live socket, as MessagePack `[kind, body]`. */
export type LiveRequest =
  | ["subscribe", SubscribeBody]
  | ["unsubscribe", UnsubscribeBody]
  | ["ping", Nothing];

/** What the hub sends on the live socket. */
export type LiveMessage =
  | ["hello", LiveHello]
  | ["snapshot", TopicMessage]
  | ["change", TopicMessage]
  | ["gap", GapMessage]
  | ["rights", Nothing]
  | ["error", ErrorMessage]
  | ["pong", Nothing];

/** Every metric there is. */
export const METRICS: readonly Omit<MetricView, "derived">[] = [
  {"name": "cpu.total", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "cpu.user", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "cpu.system", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "cpu.iowait", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "cpu.steal", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "cpu.nice", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "cpu.irq", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "cpu.softirq", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "cpu.guest", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "cpu.core", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": ["core"]},
  {"name": "cpu.core_user", "unit": "percent", "rhythm": 60, "kind": "gauge", "labels": ["core"]},
  {"name": "cpu.core_nice", "unit": "percent", "rhythm": 60, "kind": "gauge", "labels": ["core"]},
  {"name": "cpu.core_irq", "unit": "percent", "rhythm": 60, "kind": "gauge", "labels": ["core"]},
  {"name": "cpu.core_guest", "unit": "percent", "rhythm": 60, "kind": "gauge", "labels": ["core"]},
  {"name": "cpu.core_system", "unit": "percent", "rhythm": 60, "kind": "gauge", "labels": ["core"]},
  {"name": "cpu.core_softirq", "unit": "percent", "rhythm": 60, "kind": "gauge", "labels": ["core"]},
  {"name": "cpu.core_iowait", "unit": "percent", "rhythm": 60, "kind": "gauge", "labels": ["core"]},
  {"name": "cpu.core_steal", "unit": "percent", "rhythm": 60, "kind": "gauge", "labels": ["core"]},
  {"name": "cpu.frequency", "unit": "MHz", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "cpu.frequency_lowest", "unit": "MHz", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "cpu.throttles", "unit": "events", "rhythm": 60, "kind": "counter", "labels": []},
  {"name": "load.1", "unit": "processes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "load.5", "unit": "processes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "load.15", "unit": "processes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "processes.running", "unit": "processes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "processes.blocked", "unit": "processes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "kernel.context_switches", "unit": "events/s", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "kernel.interrupts", "unit": "events/s", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "kernel.forks", "unit": "events/s", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "pressure.cpu_some", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "pressure.memory_some", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "pressure.memory_full", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "pressure.io_some", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "pressure.io_full", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "pressure.irq_full", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "memory.total", "unit": "bytes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "memory.used", "unit": "bytes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "memory.available", "unit": "bytes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "memory.cached", "unit": "bytes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "memory.buffers", "unit": "bytes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "memory.zfs_arc", "unit": "bytes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "swap.total", "unit": "bytes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "swap.used", "unit": "bytes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "swap.in", "unit": "bytes/s", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "swap.out", "unit": "bytes/s", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "memory.major_faults", "unit": "events/s", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "memory.free", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "memory.anonymous", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "memory.shared", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "memory.dirty", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "memory.writeback", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "memory.slab", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "memory.slab_unreclaimable", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "memory.page_tables", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "memory.committed", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "memory.hugepages_total", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "memory.hugepages_used", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "memory.oom_kills", "unit": "processes", "rhythm": 60, "kind": "counter", "labels": []},
  {"name": "disk.read", "unit": "bytes/s", "rhythm": 1, "kind": "gauge", "labels": ["device"]},
  {"name": "disk.written", "unit": "bytes/s", "rhythm": 1, "kind": "gauge", "labels": ["device"]},
  {"name": "disk.busy", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": ["device"]},
  {"name": "disk.reads", "unit": "operations/s", "rhythm": 1, "kind": "gauge", "labels": ["device"]},
  {"name": "disk.writes", "unit": "operations/s", "rhythm": 1, "kind": "gauge", "labels": ["device"]},
  {"name": "disk.read_await", "unit": "milliseconds", "rhythm": 1, "kind": "gauge", "labels": ["device"]},
  {"name": "disk.write_await", "unit": "milliseconds", "rhythm": 1, "kind": "gauge", "labels": ["device"]},
  {"name": "disk.queue", "unit": "requests", "rhythm": 1, "kind": "gauge", "labels": ["device"]},
  {"name": "disk.size", "unit": "bytes", "rhythm": 300, "kind": "gauge", "labels": ["device"]},
  {"name": "disk.rotating", "unit": "flag", "rhythm": 300, "kind": "gauge", "labels": ["device"]},
  {"name": "volume.read", "unit": "bytes/s", "rhythm": 60, "kind": "gauge", "labels": ["volume"]},
  {"name": "volume.written", "unit": "bytes/s", "rhythm": 60, "kind": "gauge", "labels": ["volume"]},
  {"name": "volume.busy", "unit": "percent", "rhythm": 60, "kind": "gauge", "labels": ["volume"]},
  {"name": "volume.await", "unit": "milliseconds", "rhythm": 60, "kind": "gauge", "labels": ["volume"]},
  {"name": "filesystem.size", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": ["mount"]},
  {"name": "filesystem.used", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": ["mount"]},
  {"name": "filesystem.free", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": ["mount"]},
  {"name": "filesystem.inodes_used", "unit": "percent", "rhythm": 60, "kind": "gauge", "labels": ["mount"]},
  {"name": "filesystem.inodes_free", "unit": "inodes", "rhythm": 60, "kind": "gauge", "labels": ["mount"]},
  {"name": "filesystem.readonly", "unit": "flag", "rhythm": 60, "kind": "gauge", "labels": ["mount"]},
  {"name": "filesystem.left_out", "unit": "file systems", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "network.received", "unit": "bytes/s", "rhythm": 1, "kind": "gauge", "labels": ["interface"]},
  {"name": "network.sent", "unit": "bytes/s", "rhythm": 1, "kind": "gauge", "labels": ["interface"]},
  {"name": "network.packets_received", "unit": "packets/s", "rhythm": 1, "kind": "gauge", "labels": ["interface"]},
  {"name": "network.packets_sent", "unit": "packets/s", "rhythm": 1, "kind": "gauge", "labels": ["interface"]},
  {"name": "network.errors_received", "unit": "packets/s", "rhythm": 60, "kind": "gauge", "labels": ["interface"]},
  {"name": "network.errors_sent", "unit": "packets/s", "rhythm": 60, "kind": "gauge", "labels": ["interface"]},
  {"name": "network.drops_received", "unit": "packets/s", "rhythm": 60, "kind": "gauge", "labels": ["interface"]},
  {"name": "network.drops_sent", "unit": "packets/s", "rhythm": 60, "kind": "gauge", "labels": ["interface"]},
  {"name": "network.up", "unit": "flag", "rhythm": 60, "kind": "gauge", "labels": ["interface"]},
  {"name": "network.speed", "unit": "bits/s", "rhythm": 300, "kind": "gauge", "labels": ["interface"]},
  {"name": "network.folded_received", "unit": "bytes/s", "rhythm": 60, "kind": "gauge", "labels": ["kind"]},
  {"name": "network.folded_sent", "unit": "bytes/s", "rhythm": 60, "kind": "gauge", "labels": ["kind"]},
  {"name": "network.folded_interfaces", "unit": "interfaces", "rhythm": 60, "kind": "gauge", "labels": ["kind"]},
  {"name": "tcp.established", "unit": "sockets", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "tcp.syn_sent", "unit": "sockets", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "tcp.syn_recv", "unit": "sockets", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "tcp.fin_wait1", "unit": "sockets", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "tcp.fin_wait2", "unit": "sockets", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "tcp.time_wait", "unit": "sockets", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "tcp.close", "unit": "sockets", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "tcp.close_wait", "unit": "sockets", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "tcp.last_ack", "unit": "sockets", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "tcp.listen", "unit": "sockets", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "tcp.closing", "unit": "sockets", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "tcp.orphans", "unit": "sockets", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "tcp.memory", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "tcp.opened", "unit": "connections/s", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "tcp.accepted", "unit": "connections/s", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "tcp.failed", "unit": "connections/s", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "tcp.resets", "unit": "connections/s", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "tcp.resets_sent", "unit": "segments/s", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "tcp.segments_received", "unit": "segments/s", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "tcp.segments_sent", "unit": "segments/s", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "tcp.retransmits", "unit": "segments/s", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "tcp.listen_overflows", "unit": "connections/s", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "tcp.listen_drops", "unit": "connections/s", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "udp.received", "unit": "datagrams/s", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "udp.sent", "unit": "datagrams/s", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "udp.errors", "unit": "datagrams/s", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "udp.buffer_errors", "unit": "datagrams/s", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "udp.no_port", "unit": "datagrams/s", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "udp.sockets", "unit": "sockets", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "conntrack.used", "unit": "connections", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "conntrack.limit", "unit": "connections", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "system.uptime", "unit": "seconds", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "system.entropy", "unit": "bits", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "files.open", "unit": "files", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "files.limit", "unit": "files", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "processes.total", "unit": "processes", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "processes.sleeping", "unit": "processes", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "processes.uninterruptible", "unit": "processes", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "processes.stopped", "unit": "processes", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "processes.zombie", "unit": "processes", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "processes.threads", "unit": "threads", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "clock.synchronised", "unit": "flag", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "clock.error", "unit": "milliseconds", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "clock.offset", "unit": "milliseconds", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "clock.skew", "unit": "milliseconds", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "temperature", "unit": "celsius", "rhythm": 60, "kind": "gauge", "labels": ["sensor"]},
  {"name": "temperature.limit", "unit": "celsius", "rhythm": 60, "kind": "gauge", "labels": ["sensor"]},
  {"name": "fan", "unit": "rpm", "rhythm": 60, "kind": "gauge", "labels": ["sensor"]},
  {"name": "power", "unit": "watts", "rhythm": 60, "kind": "gauge", "labels": ["sensor"]},
  {"name": "current", "unit": "amperes", "rhythm": 60, "kind": "gauge", "labels": ["sensor"]},
  {"name": "battery.charge", "unit": "percent", "rhythm": 60, "kind": "gauge", "labels": ["battery"]},
  {"name": "battery.power", "unit": "watts", "rhythm": 60, "kind": "gauge", "labels": ["battery"]},
  {"name": "gpu.busy", "unit": "percent", "rhythm": 60, "kind": "gauge", "labels": ["gpu"]},
  {"name": "gpu.awake", "unit": "percent", "rhythm": 60, "kind": "gauge", "labels": ["gpu"]},
  {"name": "gpu.memory_used", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": ["gpu"]},
  {"name": "gpu.memory_total", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": ["gpu"]},
  {"name": "gpu.temperature", "unit": "celsius", "rhythm": 60, "kind": "gauge", "labels": ["gpu"]},
  {"name": "gpu.power", "unit": "watts", "rhythm": 60, "kind": "gauge", "labels": ["gpu"]},
  {"name": "md.missing", "unit": "devices", "rhythm": 60, "kind": "gauge", "labels": ["array"]},
  {"name": "md.progress", "unit": "percent", "rhythm": 60, "kind": "gauge", "labels": ["array"]},
  {"name": "zfs.healthy", "unit": "flag", "rhythm": 60, "kind": "gauge", "labels": ["pool"]},
  {"name": "btrfs.missing", "unit": "devices", "rhythm": 60, "kind": "gauge", "labels": ["pool"]},
  {"name": "btrfs.errors", "unit": "errors", "rhythm": 60, "kind": "counter", "labels": ["pool"]},
  {"name": "smart.reallocated", "unit": "sectors", "rhythm": 300, "kind": "gauge", "labels": ["disk"]},
  {"name": "smart.pending", "unit": "sectors", "rhythm": 300, "kind": "gauge", "labels": ["disk"]},
  {"name": "smart.uncorrectable", "unit": "sectors", "rhythm": 300, "kind": "gauge", "labels": ["disk"]},
  {"name": "smart.errors", "unit": "errors", "rhythm": 300, "kind": "gauge", "labels": ["disk"]},
  {"name": "disk.life_used", "unit": "percent", "rhythm": 300, "kind": "gauge", "labels": ["device"]},
  {"name": "service.cpu", "unit": "percent", "rhythm": 60, "kind": "gauge", "labels": ["service"]},
  {"name": "service.memory", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": ["service"]},
  {"name": "service.read", "unit": "bytes/s", "rhythm": 60, "kind": "gauge", "labels": ["service"]},
  {"name": "service.written", "unit": "bytes/s", "rhythm": 60, "kind": "gauge", "labels": ["service"]},
  {"name": "container.cpu", "unit": "percent", "rhythm": 60, "kind": "gauge", "labels": ["container"]},
  {"name": "container.memory", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": ["container"]},
  {"name": "container.read", "unit": "bytes/s", "rhythm": 60, "kind": "gauge", "labels": ["container"]},
  {"name": "container.written", "unit": "bytes/s", "rhythm": 60, "kind": "gauge", "labels": ["container"]},
  {"name": "units.failed", "unit": "units", "rhythm": 300, "kind": "gauge", "labels": []},
  {"name": "users.logged_in", "unit": "sessions", "rhythm": 60, "kind": "gauge", "labels": []},
  {"name": "custom", "unit": "", "rhythm": 60, "kind": "gauge", "labels": ["name"]},
  {"name": "statsd.gauge", "unit": "", "rhythm": 60, "kind": "gauge", "labels": ["name"]},
  {"name": "statsd.rate", "unit": "1/s", "rhythm": 60, "kind": "gauge", "labels": ["name"]},
  {"name": "statsd.timer", "unit": "ms", "rhythm": 60, "kind": "gauge", "labels": ["name"]},
  {"name": "statsd.timer_max", "unit": "ms", "rhythm": 60, "kind": "gauge", "labels": ["name"]},
  {"name": "statsd.timer_rate", "unit": "1/s", "rhythm": 60, "kind": "gauge", "labels": ["name"]},
];

/** Every column of a table of a node, by name. */
export const COLUMNS: readonly string[] = ["action", "activates", "address", "addresses", "boot", "booted_at", "candidate", "charge", "clean", "command", "cpu", "cycles", "description", "devices", "down_at", "engine", "errors", "fault", "from", "health", "id", "image", "installed", "kind", "last_at", "level", "mac", "memory", "missing", "model", "mounts", "mtu", "name", "next_at", "oom_kills", "package", "parents", "pid", "port", "ports", "process", "progress", "protocol", "read", "refreshed_at", "repository", "restarts", "result", "rotational", "security", "serial", "service", "since", "size", "speed", "started_at", "state", "status", "terminal", "threads", "unit", "user", "why", "written"];

/** Every sentence that an agent writes about a job, with `{name}` where a fact belongs. */
export const SENTENCES: readonly string[] = ["Some checks after the job failed; the node's log says why.", "{count} more configuration files are not listed.", "{count} more services are not listed.", "{count} more failed units are not listed.", "New configuration files from earlier upgrades, not applied: {names}.", "/etc is too large: not all of it was searched for new configuration files.", "Still on the old version: {names}. A restart logs users out; reboot instead.", "Process 1 still runs the old version. Reboot, or run systemctl daemon-reexec (OpenRC: reboot).", "The agent still runs the old version. It can be restarted at any time: systemctl restart stardust-spider (OpenRC: rc-service stardust-spider restart).", "Users whose sessions still run the old version: {names}.", "Processes without a service that still run the old version: {names}.", "Some processes could not be checked for old versions.", "Started by this job and still running, in {where}: {names}.", "Changed, but not in the plan: {names}.", "Only a part of the upgrade was done. Packages may not fit each other until the rest follows: upgrade again soon.", "The package lists are newer than the installed packages now: upgrade before you install anything by hand.", "A signature was not accepted. If the key is newer than this server's keyring, upgrade the keyring first: 'pacman -Sy --needed archlinux-keyring', followed immediately by 'pacman -Su'.", "pacman could not sandbox its downloads: this server's kernel or container does not allow it. With DisableSandbox in /etc/pacman.conf, the administrator's own file, pacman does without.", "zypper updated itself or a package that it needs. Run this again: there may be more updates.", "zypper left out a repository that it could not read.", "It was needed: {why}.", "It was not needed: {why}.", "Whether it was needed is not known: {why}.", "The boot id was {before} before the reboot and is {after} now.", "Its services had started {seconds} s after the order.", "As before the reboot: services {services}, ports {ports}, file systems {mounts}.", "The kernel was {before} before the reboot and is {after} now.", "The kernel is older than expected: the reboot did not start the installed {names}.", "Services that ran before the reboot and do not now: {names}.", "Ports that were open before the reboot and are not now: {names}.", "File systems that were mounted before the reboot and are not now: {names}.", "Default routes that were there before the reboot and are not now: {names}.", "Units that failed since the reboot: {names}.", "asked for by {names}", "the file {path} exists", "a patch that was just installed asks for it", "updated since the start: {names}", "core libraries or services were updated since the start", "{names} changed after the boot: programs started before still run the old version", "the running kernel {running} is no longer installed; {installed} is", "kernel {installed} is installed, but {running} is running", "the file of the running kernel {running} was replaced after the boot", "{why}; live patches are loaded until then: {names}", "{running} is the newest kernel of its kind, and core libraries are older than the boot", "no core library or service was updated since the start", "the package manager's own check sees no need", "no package asked for a reboot; a new kernel would have", "it is a container ({kind}): the kernel is its host's, and nothing here asks for a restart", "it has just been rebooted", "only removals", "the check failed; the node's log says why", "no installed kernel was found", "the running kernel {running} is not among the installed ones", "it is not known when the running kernel was installed", "it is not known whether core libraries changed after the boot", "{program} is not installed", "{program} gave no answer", "nothing has been changed yet", "this step runs to its end, and no other one starts", "this is the last step, and it runs to its end", "apt-get stops after the packages that dpkg is working on", "what was half done is completed; nothing else was started", "apk is changing packages, and an interruption could leave them in an unknown state", "pacman stops after the current package", "all packages are installed; pacman runs their hooks now", "rpm is changing packages: an interruption now leaves two versions of the same package behind", "it still waits for another program; nothing has been changed yet", "systemd finishes what it was asked to do", "the script of the current package was stopped", "no package's script runs that could be stopped; one that starts later is stopped then", "no package's script runs that could be stopped", "waiting for {program} (process {pid})", "waiting for another program (process {pid})", "waiting for the lock {file}", "waiting for another program to release the package lists", "waiting for the new version to connect to the hub", "the server is shutting down", "the server was asked to reboot", "the server is back; its services are starting", "{count} packages would change", "{count} packages can be upgraded, {security} of them for security.", "{count} packages can be upgraded; it is not known which are for security."];

export type MetricName =
  | "cpu.total"
  | "cpu.user"
  | "cpu.system"
  | "cpu.iowait"
  | "cpu.steal"
  | "cpu.nice"
  | "cpu.irq"
  | "cpu.softirq"
  | "cpu.guest"
  | "cpu.core"
  | "cpu.core_user"
  | "cpu.core_nice"
  | "cpu.core_irq"
  | "cpu.core_guest"
  | "cpu.core_system"
  | "cpu.core_softirq"
  | "cpu.core_iowait"
  | "cpu.core_steal"
  | "cpu.frequency"
  | "cpu.frequency_lowest"
  | "cpu.throttles"
  | "load.1"
  | "load.5"
  | "load.15"
  | "processes.running"
  | "processes.blocked"
  | "kernel.context_switches"
  | "kernel.interrupts"
  | "kernel.forks"
  | "pressure.cpu_some"
  | "pressure.memory_some"
  | "pressure.memory_full"
  | "pressure.io_some"
  | "pressure.io_full"
  | "pressure.irq_full"
  | "memory.total"
  | "memory.used"
  | "memory.available"
  | "memory.cached"
  | "memory.buffers"
  | "memory.zfs_arc"
  | "swap.total"
  | "swap.used"
  | "swap.in"
  | "swap.out"
  | "memory.major_faults"
  | "memory.free"
  | "memory.anonymous"
  | "memory.shared"
  | "memory.dirty"
  | "memory.writeback"
  | "memory.slab"
  | "memory.slab_unreclaimable"
  | "memory.page_tables"
  | "memory.committed"
  | "memory.hugepages_total"
  | "memory.hugepages_used"
  | "memory.oom_kills"
  | "disk.read"
  | "disk.written"
  | "disk.busy"
  | "disk.reads"
  | "disk.writes"
  | "disk.read_await"
  | "disk.write_await"
  | "disk.queue"
  | "disk.size"
  | "disk.rotating"
  | "volume.read"
  | "volume.written"
  | "volume.busy"
  | "volume.await"
  | "filesystem.size"
  | "filesystem.used"
  | "filesystem.free"
  | "filesystem.inodes_used"
  | "filesystem.inodes_free"
  | "filesystem.readonly"
  | "filesystem.left_out"
  | "network.received"
  | "network.sent"
  | "network.packets_received"
  | "network.packets_sent"
  | "network.errors_received"
  | "network.errors_sent"
  | "network.drops_received"
  | "network.drops_sent"
  | "network.up"
  | "network.speed"
  | "network.folded_received"
  | "network.folded_sent"
  | "network.folded_interfaces"
  | "tcp.established"
  | "tcp.syn_sent"
  | "tcp.syn_recv"
  | "tcp.fin_wait1"
  | "tcp.fin_wait2"
  | "tcp.time_wait"
  | "tcp.close"
  | "tcp.close_wait"
  | "tcp.last_ack"
  | "tcp.listen"
  | "tcp.closing"
  | "tcp.orphans"
  | "tcp.memory"
  | "tcp.opened"
  | "tcp.accepted"
  | "tcp.failed"
  | "tcp.resets"
  | "tcp.resets_sent"
  | "tcp.segments_received"
  | "tcp.segments_sent"
  | "tcp.retransmits"
  | "tcp.listen_overflows"
  | "tcp.listen_drops"
  | "udp.received"
  | "udp.sent"
  | "udp.errors"
  | "udp.buffer_errors"
  | "udp.no_port"
  | "udp.sockets"
  | "conntrack.used"
  | "conntrack.limit"
  | "system.uptime"
  | "system.entropy"
  | "files.open"
  | "files.limit"
  | "processes.total"
  | "processes.sleeping"
  | "processes.uninterruptible"
  | "processes.stopped"
  | "processes.zombie"
  | "processes.threads"
  | "clock.synchronised"
  | "clock.error"
  | "clock.offset"
  | "clock.skew"
  | "temperature"
  | "temperature.limit"
  | "fan"
  | "power"
  | "current"
  | "battery.charge"
  | "battery.power"
  | "gpu.busy"
  | "gpu.awake"
  | "gpu.memory_used"
  | "gpu.memory_total"
  | "gpu.temperature"
  | "gpu.power"
  | "md.missing"
  | "md.progress"
  | "zfs.healthy"
  | "btrfs.missing"
  | "btrfs.errors"
  | "smart.reallocated"
  | "smart.pending"
  | "smart.uncorrectable"
  | "smart.errors"
  | "disk.life_used"
  | "service.cpu"
  | "service.memory"
  | "service.read"
  | "service.written"
  | "container.cpu"
  | "container.memory"
  | "container.read"
  | "container.written"
  | "units.failed"
  | "users.logged_in"
  | "custom"
  | "statsd.gauge"
  | "statsd.rate"
  | "statsd.timer"
  | "statsd.timer_max"
  | "statsd.timer_rate";

/** The series of `latest` in lists and in the topic `fleet`, besides SUMMARY_SUMS, SUMMARY_FULLEST and SUMMARY_HIGHEST. */
export const SUMMARY_SERIES = ["cpu.total", "load.1", "memory.total", "memory.used", "swap.total", "swap.used"] as const;

/** Labelled metrics that a summary contains once, under their bare name: the sum over all devices, or all interfaces but `lo`. */
export const SUMMARY_SUMS = ["disk.read", "disk.written", "network.received", "network.sent"] as const;

/**
 * A summary contains these under their full names, for the fullest mount: `filesystem.used{mount=/var}`.
 *
 * The fullest mount has the greatest used / (used + free), as in `df` and in alerts. If the free space is not known, used / size counts.
 * If no mount could be measured, the summary contains one mount (`/`, if the node has it) with null.
 */
export const SUMMARY_FULLEST = ["filesystem.size", "filesystem.free", "filesystem.used"] as const;

/** A summary contains one series of each, under its full name: the one with the highest value. */
export const SUMMARY_HIGHEST = ["disk.busy", "filesystem.inodes_used", "temperature"] as const;

/** `code` of a Problem and of an ErrorMessage. */
export type ErrorCode =
  | "auth.bad_credentials"
  | "auth.clock_behind"
  | "auth.cross_site"
  | "auth.forbidden"
  | "auth.password_change_required"
  | "auth.rate_limited"
  | "auth.required"
  | "auth.setup_code_required"
  | "auth.sso_required"
  | "auth.step_up_required"
  | "auth.totp_enrolment_required"
  | "auth.totp_required"
  | "auth.totp_wrong"
  | "auth.weak_password"
  | "conflict"
  | "credentials_required"
  | "deployment.host_key_mismatch"
  | "deployment.jump_credentials_required"
  | "deployment.target_not_allowed"
  | "event.type_unknown"
  | "internal"
  | "job.not_cancellable"
  | "link.expired"
  | "node.frozen"
  | "node.journal_unreadable"
  | "node.offline"
  | "node.policy_refuses"
  | "not_found"
  | "oidc.flow_over"
  | "oidc.groups_missing"
  | "oidc.issuer_mismatch"
  | "oidc.linked_elsewhere"
  | "oidc.no_organisation"
  | "oidc.refused"
  | "oidc.unavailable"
  | "oidc.unknown_account"
  | "organisation.has_nodes"
  | "organisation.last_admin"
  | "organisation.quota"
  | "organisation.required"
  | "organisation.suspended"
  | "organisation.unknown"
  | "policy_differs"
  | "request.headers_too_large"
  | "request.idempotency_mismatch"
  | "request.invalid"
  | "request.method_not_allowed"
  | "request.not_acceptable"
  | "request.too_large"
  | "request.too_many"
  | "request.unsupported_type"
  | "store.busy"
  | "store.damaged"
  | "store.down"
  | "store.failed"
  | "store.fenced"
  | "store.full"
  | "store.read_only"
  | "unavailable"
  | "vault.not_opened";
