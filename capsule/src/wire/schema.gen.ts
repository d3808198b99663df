// Made by scripts/gen_ts.py from groundcontrol/web/schema.py: never edited by hand.

/** RFC 9457 `application/problem+json`. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  /** Names this answer in the hub's log. */
  instance: string;
  facts: Record<string, unknown>;
}

export interface LoginBody {
  username: string;
  password: string;
  /** The six digits of the moment, or a recovery code; without it 401 `auth.totp_required` says that one is needed. */
  totp?: string | null;
  setup_code?: string | null;
}

export interface PasswordBody {
  current: string;
  new: string;
}

export interface StepUpBody {
  password: string;
  totp?: string | null;
}

export interface UserView {
  username: string;
  role: "admin" | "operator" | "viewer";
  must_change_password: boolean;
  totp_enabled: boolean;
  /** A second factor is required and not there yet: everything but enrolling it answers 403 `auth.totp_enrolment_required`. */
  must_enrol_totp: boolean;
}

export interface LoginView {
  token: string;
  expires_at: number;
  csrf_token: string;
  user: UserView;
}

export interface MeView {
  user: UserView;
  csrf_token: string;
  expires_at: number;
}

/** A log-in that is live. */
export interface SessionView {
  id: string;
  username: string;
  created_at: number;
  /** When it last was prolonged: within ten minutes of its last request. */
  last_seen_at: number;
  expires_at: number;
  address: string;
  user_agent: string;
  second_factor: boolean;
  /** The one that asks. */
  current: boolean;
}

export interface SessionsView {
  sessions: SessionView[];
  next: string | null;
}

/** A new second factor, shown once; it counts from `auth/totp/confirm` on. */
export interface TotpView {
  /** Base32, for typing in. */
  secret: string;
  /** `otpauth://…`, to be drawn as a QR code. */
  uri: string;
}

export interface TotpConfirmBody {
  code: string;
}

/** Ten codes, each good for one log-in; shown once. */
export interface RecoveryCodesView {
  codes: string[];
}

/** The only nodes that somebody may see: those of these ids or of any of these tags. At least one of either. */
export interface GrantsBody {
  nodes?: string[];
  tags?: string[];
}

export interface GrantsView {
  nodes: string[];
  tags: string[];
}

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

export interface NewUserBody {
  username: string;
  role: "admin" | "operator" | "viewer";
  /** Without it every node; an admin always sees every node. */
  grants?: GrantsBody | null;
}

export interface UserPatch {
  role?: "admin" | "operator" | "viewer" | null;
  disabled?: boolean | null;
  grants?: GrantsBody | null;
  /** True takes the limit to some nodes away; not together with `grants`. */
  all_nodes?: boolean;
}

/** A password that opens one session, good only for choosing another; shown once, dead after 24 hours. */
export interface OneTimePasswordView {
  user: AccountView;
  password: string;
}

export interface ApiTokenView {
  id: string;
  /** Whose it is; it never may more than they may at that moment. */
  username: string;
  name: string;
  role: "admin" | "operator" | "viewer";
  /** Null: every node that its owner sees. */
  grants: GrantsView | null;
  /** May also do what asks people for their password again: delete a node, restart one. */
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

export interface NewTokenBody {
  name: string;
  role?: "admin" | "operator" | "viewer";
  /** 1 to 365. */
  days?: number;
  grants?: GrantsBody | null;
  sensitive?: boolean;
}

/** The token itself, shown once: for `Authorization: Bearer`. */
export interface NewTokenView {
  token: string;
  info: ApiTokenView;
}

export interface SettingsView {
  /** Who must have a second factor, as it holds. */
  require_totp: "none" | "admins" | "all";
  /** What STARDUST_REQUIRE_TOTP demands: settings here may ask for more, never for less. */
  require_totp_least: "none" | "admins" | "all";
}

export interface SettingsPatch {
  require_totp: "none" | "admins" | "all";
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
}

export interface PolicyView {
  mode: string;
  verbs: string[];
}

export interface UpdatesView {
  total: number | null;
  security: number | null;
  checked_at: number | null;
}

/** `value` null: could not be measured. */
export interface Sample {
  value: number | null;
  at: number;
}

export interface NodeView {
  id: string;
  name: string;
  address: string;
  state: "pending" | "online" | "offline";
  tags: string[];
  identity: IdentityView;
  /** By series name; in lists only a summary. */
  latest: Record<string, Sample>;
  agent_version: string;
  last_seen_at: number | null;
  policy: PolicyView | null;
  updates: UpdatesView;
  reboot_required: "yes" | "no" | "unknown";
  created_at: number;
  credentials_kept: boolean;
  simulated: boolean;
}

export interface NodesView {
  nodes: NodeView[];
  next: string | null;
}

export interface NodePatch {
  name?: string | null;
  tags?: string[] | null;
}

export interface MetricView {
  name: string;
  unit: string;
  rhythm: number;
  kind: "gauge" | "counter";
  labels: string[];
}

export interface MetricsView {
  metrics: MetricView[];
}

export interface SeriesView {
  avg: (number | null)[];
  min: (number | null)[];
  max: (number | null)[];
}

export interface HistoryView {
  step: number;
  tier: "1s" | "1m" | "1h";
  times: number[];
  series: Record<string, SeriesView>;
}

export interface DeploymentBody {
  host: string;
  username: string;
  port?: number;
  private_key?: string | null;
  passphrase?: string | null;
  password?: string | null;
  sudo_password?: string | null;
  name?: string | null;
  tags?: string[] | null;
  /** A fingerprint (`SHA256:…`) known beforehand: confirms the host key without asking. */
  host_key?: string | null;
  keep_credentials?: boolean;
  install_python?: boolean;
  policy?: "monitor" | "readonly" | "managed";
}

/** Any field given replaces the one of the first call; also the body of `DELETE nodes/{id}`. */
export interface RetryBody {
  host?: string | null;
  port?: number | null;
  username?: string | null;
  private_key?: string | null;
  passphrase?: string | null;
  password?: string | null;
  sudo_password?: string | null;
  name?: string | null;
  tags?: string[] | null;
  host_key?: string | null;
  keep_credentials?: boolean | null;
  install_python?: boolean | null;
  policy?: "monitor" | "readonly" | "managed" | null;
}

export interface HostKeyBody {
  fingerprint: string;
}

export interface HostKeyView {
  type: string;
  fingerprint: string;
}

export interface StepView {
  name: string;
  state: "waiting" | "running" | "done" | "failed" | "skipped";
  detail: string;
  started_at: number | null;
  ended_at: number | null;
}

export interface DeploymentErrorView {
  code: string;
  message: string;
  step: string;
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
  created_at: number;
  ended_at: number | null;
}

export interface DeploymentsView {
  deployments: DeploymentView[];
  next: string | null;
}

export interface JobBody {
  action: "refresh" | "check" | "upgrade" | "full-upgrade";
  /** For `upgrade` only; absent = all. Null and an empty list are refused: neither may come to mean all. */
  packages?: string[];
  reboot?: boolean;
}

export interface ChangeView {
  package: string;
  /** Empty = newly installed. */
  from: string;
  /** Empty = removed. */
  to: string;
}

export interface JobErrorView {
  code: string;
  message: string;
}

export interface JobView {
  id: string;
  node_id: string;
  action: string;
  packages: string[];
  reboot: boolean;
  state: "queued" | "dispatched" | "accepted" | "running" | "succeeded" | "failed" | "cancelled" | "interrupted" | "expired" | "unknown";
  phase: "refresh" | "plan" | "waiting_lock" | "download" | "commit" | "triggers" | "check" | null;
  progress_percent: number | null;
  exit_code: number | null;
  output_bytes: number;
  output_sha256: string | null;
  created_by: string;
  created_at: number;
  started_at: number | null;
  ended_at: number | null;
  changes: ChangeView[];
  error: JobErrorView | null;
}

export interface JobsView {
  jobs: JobView[];
  next: string | null;
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
}

export interface EventsView {
  events: EventView[];
  next: string | null;
}

export interface AuditView {
  n: number;
  at: number;
  actor: string;
  address: string;
  action: string;
  target: string;
  result: string;
  detail: Record<string, unknown>;
}

export interface AuditPageView {
  audit: AuditView[];
  next: string | null;
}

export interface HealthView {
  status: "ok" | "draining" | "failing";
  version: string;
  database: boolean;
}

/** One step on the hub's own machine: makes nodes and hands out their keys. */
export interface LocalEnrolBody {
  names: string[];
  simulated?: boolean;
  address?: string;
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

export interface EnrolledListView {
  nodes: EnrolledView[];
  server_url: string;
}

export interface ResetUserBody {
  username: string;
}

/** The new password, shown once. */
export interface ResetUserView {
  username: string;
  password: string;
}

export interface LocalTokenBody {
  name: string;
  role?: "admin" | "operator" | "viewer";
  days?: number;
  grants?: GrantsBody | null;
  sensitive?: boolean;
  username?: string;
}

export interface SubscribeBody {
  topic: string;
  after?: number | null;
}

export interface UnsubscribeBody {
  topic: string;
}

export interface LiveHello {
  /** New for each start: another one means that sequence numbers begin anew. */
  hub_id: string;
  /** Of the page; another one means that a newer page is there. */
  build: string;
  now: number;
  session_expires_at: number;
}

/** Body of `snapshot` and `change`. `seq` grows by one a change; for `job:<id>` it is an offset in the output. */
export interface TopicMessage {
  topic: string;
  seq: number;
  data: unknown;
}

/** What is shown of this topic is no longer whole: a new snapshot follows, or subscribe again. */
export interface GapMessage {
  topic: string;
}

/** `topic` is empty when the message as such was wrong. */
export interface ErrorMessage {
  code: string;
  message: string;
  topic: string;
}

/** An empty body. */
export type Nothing = Record<string, never>;

export interface EventsData {
  events: EventView[];
}

export interface FleetData {
  /** With the summary in `latest`; a series asked for by name is in `node:<id>`. */
  nodes: NodeView[];
}

/** What changed since the last: whole rows of nodes whose facts changed, else only new values. */
export interface FleetChange {
  nodes: NodeView[];
  /** node id -> series -> sample. */
  latest: Record<string, Record<string, Sample>>;
  removed: string[];
}

/** Either new values (`latest`) or a node whose facts changed (`node`). */
export interface NodeChange {
  latest: Record<string, Sample>;
  node: NodeView | null;
}

export interface JobChunk {
  output: Uint8Array;
  offset: number;
}

export interface JobChange {
  job: JobView;
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
  | ["error", ErrorMessage]
  | ["pong", Nothing];

/** Every metric there is. */
export const METRICS: readonly MetricView[] = [
  {"name": "cpu.total", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "cpu.user", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "cpu.system", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "cpu.iowait", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "cpu.steal", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "cpu.core", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": ["core"]},
  {"name": "load.1", "unit": "processes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "load.5", "unit": "processes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "load.15", "unit": "processes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "memory.total", "unit": "bytes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "memory.used", "unit": "bytes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "memory.available", "unit": "bytes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "memory.cached", "unit": "bytes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "memory.buffers", "unit": "bytes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "swap.total", "unit": "bytes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "swap.used", "unit": "bytes", "rhythm": 1, "kind": "gauge", "labels": []},
  {"name": "disk.read", "unit": "bytes/s", "rhythm": 1, "kind": "gauge", "labels": ["device"]},
  {"name": "disk.written", "unit": "bytes/s", "rhythm": 1, "kind": "gauge", "labels": ["device"]},
  {"name": "disk.busy", "unit": "percent", "rhythm": 1, "kind": "gauge", "labels": ["device"]},
  {"name": "network.received", "unit": "bytes/s", "rhythm": 1, "kind": "gauge", "labels": ["interface"]},
  {"name": "network.sent", "unit": "bytes/s", "rhythm": 1, "kind": "gauge", "labels": ["interface"]},
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
  {"name": "filesystem.size", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": ["mount"]},
  {"name": "filesystem.used", "unit": "bytes", "rhythm": 60, "kind": "gauge", "labels": ["mount"]},
  {"name": "filesystem.inodes_used", "unit": "percent", "rhythm": 60, "kind": "gauge", "labels": ["mount"]},
  {"name": "temperature", "unit": "celsius", "rhythm": 60, "kind": "gauge", "labels": ["sensor"]},
];

export type MetricName =
  | "cpu.total"
  | "cpu.user"
  | "cpu.system"
  | "cpu.iowait"
  | "cpu.steal"
  | "cpu.core"
  | "load.1"
  | "load.5"
  | "load.15"
  | "memory.total"
  | "memory.used"
  | "memory.available"
  | "memory.cached"
  | "memory.buffers"
  | "swap.total"
  | "swap.used"
  | "disk.read"
  | "disk.written"
  | "disk.busy"
  | "network.received"
  | "network.sent"
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
  | "filesystem.size"
  | "filesystem.used"
  | "filesystem.inodes_used"
  | "temperature";

/** What `latest` holds in lists and in the topic `fleet`, besides SUMMARY_SUMS, SUMMARY_FULLEST and SUMMARY_HIGHEST. */
export const SUMMARY_SERIES = ["cpu.total", "load.1", "memory.total", "memory.used", "swap.total", "swap.used"] as const;

/** Labelled metrics that a summary holds once, under their bare name: the sum over all devices, or all interfaces but `lo`. */
export const SUMMARY_SUMS = ["disk.read", "disk.written", "network.received", "network.sent"] as const;

/** A summary holds these two under their full names, of the one mount that is fullest by share: `filesystem.used{mount=/var}`. */
export const SUMMARY_FULLEST = ["filesystem.size", "filesystem.used"] as const;

/** A summary holds one of each under its full name: the busiest device and the hottest sensor. */
export const SUMMARY_HIGHEST = ["disk.busy", "temperature"] as const;

/** `code` of a Problem and of an ErrorMessage. */
export type ErrorCode =
  | "auth.bad_credentials"
  | "auth.cross_site"
  | "auth.forbidden"
  | "auth.password_change_required"
  | "auth.rate_limited"
  | "auth.required"
  | "auth.setup_code_required"
  | "auth.step_up_required"
  | "auth.totp_enrolment_required"
  | "auth.totp_required"
  | "auth.totp_wrong"
  | "auth.weak_password"
  | "conflict"
  | "credentials_required"
  | "deployment.host_key_mismatch"
  | "deployment.target_not_allowed"
  | "internal"
  | "job.not_cancellable"
  | "node.offline"
  | "node.policy_refuses"
  | "not_found"
  | "request.idempotency_mismatch"
  | "request.invalid"
  | "request.method_not_allowed"
  | "request.not_acceptable"
  | "request.too_large"
  | "request.unsupported_type"
  | "store.busy"
  | "store.down"
  | "store.failed"
  | "store.fenced"
  | "store.full"
  | "store.read_only"
  | "unavailable"
  | "vault.not_opened";
