/** A deployment whose result depends on the host's name. */
import { FakeNode } from "./fleet.mjs";

const now = () => Date.now() / 1000;
const INSTALL = [
  ["connect", "OpenSSH 9.2 on port 22", 120], ["host_key", "SHA256:Vn8c…k0Yw, confirmed by you", 100], ["authenticate", "key as {user}", 220], ["become_root", "sudo with password", 400],
  ["probe", "Debian 12.11 · x86_64 · systemd 252 · Python 3.11", 240], ["upload", "Spider 0.1.0, 84 kB, checksum verified", 500], ["install", "user, units and keys", 700], ["start", "stardust-spider.service", 300], ["verify", "session complete, first sample received", 1500],
];
const REMOVE = [
  ["connect", "OpenSSH 9.2 on port 22", 120], ["host_key", "as pinned", 60], ["authenticate", "key as {user}", 220], ["become_root", "sudo", 300], ["stop", "stardust-spider.service stopped", 500], ["uninstall", "files, units and user removed", 700], ["verify", "nothing of ours is left", 300], ["wipe", "credentials wiped", 100],
];
const ENDS = {
  "wrong-sudo": ["become_root", "sudo_password_wrong", "sudo did not accept the password: enter the sudo password of {user}."],
  closed: ["connect", "port_closed", "closed answers, but nothing listens on port 22: start sshd there, or give the port it listens on."],
  encrypted: ["authenticate", "key_encrypted", "The private key is encrypted and no passphrase was given: enter its passphrase."],
  rejected: ["authenticate", "key_rejected", "The server does not let {user} in with this key: put its public half into ~{user}/.ssh/authorized_keys, or use another key or user."],
  "no-python": ["probe", "no_python3", "The server has no python3: install it there, or choose “Install Python” (install_python) so that it is done for you."],
  silent: ["verify", "no_session", "The agent runs on the server but did not come back to Ground Control at ws://10.0.0.1:8933/ws within 30 seconds (connection refused)."],
};

export class Deployment {
  constructor(world, body, node = null) {
    Object.assign(this, { world, body, node });
    this.id = world.newId();
    this.plan = node ? REMOVE : INSTALL;
    this.createdAt = now();
    this.confirmed = node !== null;
    this.begin();
  }

  begin() {
    this.state = "running";
    this.error = null;
    this.endedAt = null;
    this.steps = this.plan.map(([name]) => ({ name, state: "waiting", detail: "", started_at: null, ended_at: null }));
    this.run(0);
  }

  view() {
    const { host, port = 22, username, name = host } = this.body;
    return {
      id: this.id, kind: this.node ? "remove" : "install", state: this.state, node_id: this.made?.id ?? this.node?.id ?? null, host, port, username, name: name || host,
      host_key: { type: "ssh-ed25519", fingerprint: "SHA256:Vn8cTqHn2mB7yRrWc4uJ1xZp0sLd5fGkE9aQhNOk0Yw" }, steps: this.steps, error: this.error, created_at: this.createdAt, ended_at: this.endedAt,
    };
  }

  tell() {
    this.world.tell(`deployment:${this.id}`, this.view());
  }

  run(index) {
    const plan = this.plan[index];
    if (!plan) return this.finish();
    const step = this.steps[index];
    step.state = "running";
    step.started_at = now();
    if (step.name === "host_key" && !this.confirmed) {
      this.state = "awaiting_host_key";
      this.at = index;
      return this.tell();
    }
    this.tell();
    this.timer = setTimeout(() => {
      const end = ENDS[this.body.host];
      const say = (text) => text.replaceAll("{user}", this.body.username);
      step.ended_at = now();
      if (end && end[0] === step.name) {
        step.state = "failed";
        this.error = { code: end[1], message: say(end[2]), step: step.name };
        this.state = "failed";
        this.endedAt = now();
        return this.tell();
      }
      step.state = "done";
      step.detail = say(plan[1]);
      return this.run(index + 1);
    }, plan[2] * (this.body.host === "slow" ? 6 : 1));
    return undefined;
  }

  confirm() {
    this.confirmed = true;
    this.state = "running";
    this.run(this.at);
  }

  cancel() {
    clearTimeout(this.timer);
    this.state = "cancelled";
    this.endedAt = now();
    this.tell();
  }

  retry(body) {
    Object.assign(this.body, body);
    if (body.sudo_password || body.passphrase || body.install_python || body.private_key) this.body.host = "10.20.0.47";
    this.begin();
  }

  finish() {
    this.state = "succeeded";
    this.endedAt = now();
    if (this.node) this.world.removeNode(this.node);
    else {
      this.made = new FakeNode(this.world.nodes.length + 2);
      this.made.name = this.body.name || this.body.host;
      this.made.address = this.body.host;
      this.made.tags = this.body.tags ?? [];
      this.made.createdAt = now();
      this.world.addNode(this.made);
    }
    this.tell();
  }
}
