/** Users, sessions, tokens and the second factor. Any six digits except 000000 are accepted as the current code. */
const now = () => Date.now() / 1000;
const DAY = 86_400;
const LINUX = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";
const PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1";
const SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

const problem = (status, code, detail) => [status, { type: "about:blank", title: code, status, detail, code, instance: "req-7f31c", facts: {} }];
const rightCode = (text) => (/^\d{6}$/.test(text) ? text !== "000000" : /^[a-z0-9]{4}(-[a-z0-9]{4}){3}$/i.test(text));
const made = () => ["xqzt", "m7pa", "dh2w", "k9fe"].sort(() => Math.random() - 0.5).join("-");

export class Access {
  constructor(newId, { role = "admin", totp = false, mustEnrol = false } = {}) {
    this.newId = newId;
    this.me = { username: role === "admin" ? "admin" : role, role, totp, mustEnrol, mustChange: false };
    this.rule = mustEnrol ? "all" : "none";
    const person = (username, kind, part = {}) => ({ username, role: kind, disabled: false, must_change_password: false, totp_enabled: false, grants: null, created_at: now() - 90 * DAY, last_seen_at: now() - 3600, ...part });
    this.users = [
      person(this.me.username, role, { last_seen_at: now() }),
      person("ada", "operator", { totp_enabled: true, last_seen_at: now() - 420 }),
      person("grace", "viewer", { grants: { nodes: [], tags: ["prod"] }, last_seen_at: now() - 3 * DAY }),
      person("linus", "operator", { must_change_password: true, last_seen_at: null }),
      person("margaret", "viewer", { disabled: true, last_seen_at: now() - 40 * DAY }),
    ];
    const session = (username, part) => ({ id: newId(), username, created_at: now() - 7200, last_seen_at: now() - 60, expires_at: now() + 5 * DAY, address: "192.168.1.20", user_agent: LINUX, second_factor: totp, current: false, ...part });
    this.sessions = [
      session(this.me.username, { current: true, last_seen_at: now() }),
      session(this.me.username, { user_agent: PHONE, address: "2001:db8:4::2a1f", created_at: now() - 2 * DAY, last_seen_at: now() - 5400 }),
      session(this.me.username, { user_agent: "curl/8.14.1", address: "10.0.0.7", created_at: now() - 600, last_seen_at: now() - 500 }),
      session("ada", { user_agent: PHONE, second_factor: true }),
    ];
    const token = (name, part = {}) => ({ id: newId(), username: this.me.username, name, role: "viewer", grants: null, sensitive: false, created_at: now() - 30 * DAY, expires_at: now() + 60 * DAY, last_used_at: now() - 90, last_address: "10.0.0.7", ...part });
    this.tokens = [
      token("prometheus"),
      token("backup script", { role: "operator", sensitive: true, expires_at: now() + 2.4 * DAY, last_used_at: now() - DAY }),
      ...(role === "admin" ? [token("status page", { username: "ada", grants: { nodes: [], tags: ["prod", "edge"] }, last_used_at: null, last_address: "" })] : []),
    ];
    this.audit = [
      ["user.create", "admin", "user:linus", "done", { role: "operator" }], ["auth.login", "ada", "session", "done", { second_factor: true }], ["job.create", "ada", "node:db-01", "done", { action: "full-upgrade" }],
      ["auth.login", "admin", "session", "refused", { why: "bad_credentials" }], ["token.create", "admin", "token:prometheus", "done", { role: "viewer", days: 90 }], ["deployment.create", "local:0", "node:edge-ams", "done", {}],
      ["settings.edit", "admin", "require_totp", "done", { before: "none", after: "admins" }], ["node.delete", "ada/backup script", "node:old-web-07", "done", { force: true }],
    ].map(([action, actor, target, result, detail], index) => ({ n: 900 - index, at: now() - index * 2700, actor, address: actor.startsWith("local") ? "" : "192.168.1.20", action, target, result, detail })); // prettier-ignore
  }

  user() {
    const { username, role, totp, mustEnrol, mustChange } = this.me;
    return { username, role, must_change_password: mustChange, totp_enabled: totp, must_enrol_totp: mustEnrol && !totp };
  }

  /** Returns null when the second factor is accepted, otherwise the refusal. */
  login({ totp }) {
    if (!this.me.totp) return null;
    if (!totp) return problem(401, "auth.totp_required", "the password is right; a code is needed too");
    return rightCode(totp) ? null : problem(401, "auth.totp_wrong", "the code is wrong, too old, or was used before");
  }

  codes() {
    return [200, { codes: Array.from({ length: 10 }, made) }];
  }

  /** Answers a REST call; undefined if the call has another subject. */
  rest(method, [kind, id, act], url, body) {
    if (kind === "auth" && id === "recovery-codes") return this.codes();
    if (kind === "auth" && id === "totp") {
      if (method === "DELETE") return (this.me.totp = false), [204];
      if (!act) return [200, { secret: SECRET, uri: `otpauth://totp/Stardust:${this.me.username}?secret=${SECRET}&issuer=Stardust` }];
      if (!rightCode(body.code)) return problem(401, "auth.totp_wrong", "the code is wrong");
      this.me.totp = true;
      return this.codes();
    }
    if (kind === "auth" && id === "sessions") {
      const whose = url.searchParams.get("user") ?? this.me.username;
      if (method === "DELETE") this.sessions = this.sessions.filter((one) => (act ? one.id !== act : one.current || one.username !== whose));
      else return [200, { sessions: this.sessions.filter((one) => one.username === whose), next: null }];
      return [204];
    }
    if (kind === "tokens") return this.token(method, id, body);
    const admin = this.me.role === "admin";
    if (["users", "settings", "audit"].includes(kind) && !admin) return problem(403, "auth.forbidden", `the role '${this.me.role}' may not do this`);
    if (kind === "users") return this.people(method, id && decodeURIComponent(id), act, body);
    if (kind === "settings") {
      if (method === "PATCH") this.rule = body.require_totp;
      return [200, { require_totp: this.rule, require_totp_least: "none" }];
    }
    if (kind === "audit") return [200, { audit: this.audit, next: null }];
    return undefined;
  }

  token(method, id, body) {
    if (method === "GET") return [200, { tokens: this.tokens, next: null }];
    if (method === "DELETE") {
      this.tokens = this.tokens.filter((one) => one.id !== id);
      return [204];
    }
    const info = { id: this.newId(), username: this.me.username, name: body.name, role: body.role, grants: body.grants ?? null, sensitive: body.sensitive ?? false, created_at: now(), expires_at: now() + body.days * DAY, last_used_at: null, last_address: "" };
    this.tokens.unshift(info);
    return [201, { token: "sdp_w3Jv0fW5o1QyR2uJm8tqXn6TzKcE9sLdHbAiGx4PqZ0", info }];
  }

  people(method, name, act, body) {
    if (!name && method === "GET") return [200, { users: this.users, next: null }];
    if (!name) {
      if (this.users.some((one) => one.username === body.username)) return problem(409, "conflict", `a user named ${body.username} exists already`);
      const user = { username: body.username, role: body.role, disabled: false, must_change_password: true, totp_enabled: false, grants: body.grants ?? null, created_at: now(), last_seen_at: null };
      this.users.push(user);
      return [201, { user, password: "orbit-7Kd2-mellow-93xQ" }];
    }
    const user = this.users.find((one) => one.username === name);
    if (!user) return problem(404, "not_found", "there is no such user");
    if (act === "password") return (user.must_change_password = true), [200, { user, password: "comet-4Tq9-velvet-18Lm" }];
    if (user.username === this.me.username && body.role && body.role !== "admin") return problem(409, "conflict", "no admin would be left");
    const { all_nodes: all, ...part } = body;
    Object.assign(user, part, all ? { grants: null } : {});
    return [200, user];
  }
}
