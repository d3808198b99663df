/** A made-up fleet whose values are functions of time, so that history and live agree. */

const noise = (seed) => {
  let x = Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d);
  x = Math.imul(x ^ (x >>> 12), 0x297a2d39);
  return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
};
/** Smooth noise around `base`: at most `swing` away, never negative. */
const walk = (seed, at, base, swing) => {
  let sum = 0;
  for (const [length, share] of [[240, 0.4], [31, 0.3], [7, 0.2], [1, 0.1]]) {
    const place = at / length;
    const left = Math.floor(place);
    const mix = place - left;
    const smooth = mix * mix * (3 - 2 * mix);
    sum += share * ((1 - smooth) * noise(seed * 7919 + left * 31 + length) + smooth * noise(seed * 7919 + (left + 1) * 31 + length) - 0.5);
  }
  return Math.max(0, base + sum * 2 * swing);
};

/** The constructor of FakeNode names the columns. */
const ROWS = [
  ["db-01", "10.20.0.11", "production db", 38, 61, 94, 8.4e6, 21e6, 5.2, 58, 12, 3, 142, 32, 128],
  ["db-02", "10.20.0.12", "production db", 22, 58, 71, 4.1e6, 9.2e6, 2.1, 55, 12, 3, 142, 32, 128],
  ["web-01", "10.20.0.21", "production web", 31, 44, 38, 22.4e6, 61.8e6, 1.9, 51, 4, 0, 38, 8, 32],
  ["web-02", "10.20.0.22", "production web", 29, 43, 38, 21.9e6, 60.2e6, 1.8, 50, 4, 0, 38, 8, 32],
  ["web-03", "10.20.0.23", "production web", 97, 91, 41, 18.2e6, 44.1e6, 19.4, 83, 4, 0, 38, 8, 32],
  ["web-04", "10.20.0.24", "production web", 33, 45, 38, 23.1e6, 62.7e6, 2.0, 52, 4, 0, 38, 8, 32],
  ["cache-01", "10.20.0.31", "production", 9, 72, 12, 31.2e6, 33.8e6, 0.64, 46, 0, 0, 211, 4, 64],
  ["queue-01", "10.20.0.32", "production", 14, 39, 22, 2.8e6, 2.6e6, 0.71, 47, 2, 0, 97, 4, 16],
  ["mail-01", "10.20.0.41", "production mail", 6, 34, 57, 310e3, 180e3, 0.22, 44, 17, 2, 64, 2, 8],
  ["vpn-fra", "185.44.12.9", "production edge", 4, 18, 21, 6.2e6, 6.1e6, 0.11, null, 0, 0, 19, 1, 2],
  ["edge-ams", "185.44.12.71", "production edge", 41, 29, 33, 14.2e6, 88.3e6, 1.12, null, 23, 6, 203, 2, 4],
  ["build-01", "10.30.0.5", "ci", 86, 66, 79, 41e6, 7.4e6, 23.8, 79, 31, 5, 12, 24, 64],
  ["build-02", "10.30.0.6", "ci", 52, 48, 62, 12.3e6, 3.1e6, 11.2, 68, 31, 5, 12, 24, 64],
  ["registry", "10.30.0.9", "ci", 3, 22, 68, 1.2e6, 4.9e6, 0.18, 42, 9, 1, 88, 4, 8],
  ["nas-01", "192.168.1.10", "homelab storage", 11, 81, 76, 92.1e6, 4.2e6, 1.35, 39, 6, 0, 301, 4, 32],
  ["proxmox-1", "192.168.1.20", "homelab", 36, 74, 49, 3.8e6, 2.9e6, 4.11, 61, 14, 2, 57, 16, 96],
  ["pi-hole", "192.168.1.2", "homelab", 2, 31, 28, 42e3, 38e3, 0.08, 48, 3, 0, 119, 4, 4],
  ["backup-hel", "95.217.8.140", "backup", 12, 30, 60, 4e6, 1e6, 0.5, 44, 8, 1, 40, 4, 8],
  ["grafana-old", "10.20.0.77", "legacy", 1, 40, 55, 12e3, 8e3, 0.02, 44, 64, 11, 512, 2, 4],
];
const GIB = 2 ** 30;
const now = () => Date.now() / 1000;
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
let counter = 1;
export const newId = () => {
  let left = counter++;
  let text = "";
  for (let i = 0; i < 26; i += 1) {
    text = ALPHABET[left % 32] + text;
    left = Math.floor(left / 32);
  }
  return `0${text.slice(1)}`;
};

export class FakeNode {
  constructor(index, policy = "managed") {
    const row = ROWS[index % ROWS.length];
    [, this.address, this.tagText, this.cpu, this.memory, this.disk, this.received, this.sent, this.load, this.heat, this.total, this.security, this.days, this.cores, this.gib] = row;
    this.name = index < ROWS.length ? row[0] : `node-${String(index).padStart(3, "0")}`;
    this.tags = this.tagText.split(" ");
    this.seed = index + 3;
    this.id = newId();
    this.online = this.name !== "backup-hel";
    this.quiet = false;
    this.quietAt = 0;
    this.createdAt = now() - this.days * 86400;
    this.seenAt = now() - (this.online ? 0 : 2 * 3600 + 14 * 60);
    this.policy = policy;
    this.gap = this.name === "db-01" ? [now() - 200, now() - 162] : null;
    this.checkedAt = now() - 3600;
  }

  names() {
    const list = ["cpu.total", "cpu.user", "cpu.system", "cpu.iowait", "cpu.steal", "load.1", "load.5", "load.15", "memory.total", "memory.used", "memory.available", "memory.cached", "memory.buffers", "swap.total", "swap.used"];
    for (let core = 0; core < this.cores; core += 1) list.push(`cpu.core{core=${core}}`);
    for (const nic of ["eno1", "eno2", "lo"]) list.push(`network.received{interface=${nic}}`, `network.sent{interface=${nic}}`);
    for (const device of ["nvme0n1", "nvme1n1"]) list.push(`disk.read{device=${device}}`, `disk.written{device=${device}}`, `disk.busy{device=${device}}`);
    list.push("tcp.established", "tcp.time_wait", "tcp.listen", "tcp.close_wait");
    return list;
  }

  slowNames() {
    const list = [];
    for (const mount of ["/", "/boot/efi", "/srv/wal", "/var/lib/data"]) list.push(`filesystem.size{mount=${mount}}`, `filesystem.used{mount=${mount}}`, `filesystem.inodes_used{mount=${mount}}`);
    if (this.heat) list.push("temperature{sensor=CPU}", "temperature{sensor=nvme1}");
    return list;
  }

  missing(at) {
    return this.gap !== null && at >= this.gap[0] && at <= this.gap[1];
  }

  value(name, at) {
    const s = this.seed;
    const cpu = () => Math.min(100, walk(s, at, this.cpu, this.cpu * 0.3 + 4));
    const [, metric, label] = /^([a-z0-9_.]+?)(?:\{\w+=(.*)\})?$/.exec(name);
    switch (metric) {
      case "cpu.total": return cpu();
      case "cpu.user": return cpu() * 0.8;
      case "cpu.system": return cpu() * 0.14;
      case "cpu.iowait": return walk(s + 5, at, 2, 4);
      case "cpu.steal": return 0;
      case "cpu.core": return Math.min(100, walk(s * 97 + Number(label), at, label === "14" ? 92 : this.cpu, 34));
      case "load.1": return walk(s + 1, at, this.load, this.load * 0.4);
      case "load.5": return walk(s + 1, Math.floor(at / 10) * 10, this.load, this.load * 0.2);
      case "load.15": return this.load * 0.95;
      case "memory.total": return this.gib * GIB;
      case "memory.used": return walk(s + 2, at, (this.memory / 100) * this.gib * GIB, this.gib * GIB * 0.008);
      case "memory.available": return this.gib * GIB * (1 - this.memory / 100);
      case "memory.cached": return walk(s + 3, at, 0.24 * this.gib * GIB, this.gib * GIB * 0.01);
      case "memory.buffers": return 0.01 * this.gib * GIB;
      case "swap.total": return 2 * GIB;
      case "swap.used": return 0.1 * GIB;
      case "network.received": return label === "eno1" || label === undefined ? walk(s + 7, at, this.received, this.received * 0.6) : label === "lo" ? 9e4 : 1200;
      case "network.sent": return label === "eno1" || label === undefined ? walk(s + 8, at, this.sent, this.sent * 0.5) : label === "lo" ? 9e4 : 800;
      case "disk.read": return label === "nvme1n1" ? walk(s + 9, at, 41e6, 50e6) : walk(s + 10, at, 1e6, 1e6);
      case "disk.written": return label === "nvme1n1" ? walk(s + 11, at, 188e6, 150e6) : walk(s + 12, at, 2e6, 2e6);
      case "disk.busy": return 30;
      case "tcp.established": return Math.round(walk(s + 13, at, 412, 30));
      case "tcp.time_wait": return Math.round(walk(s + 14, at, 1208, 90));
      case "tcp.listen": return 9;
      case "tcp.close_wait": return 0;
      case "filesystem.size": return { "/": 98 * GIB, "/boot/efi": 0.5 * GIB, "/srv/wal": 465 * GIB, "/var/lib/data": 1863 * GIB }[label];
      case "filesystem.used": return this.value(`filesystem.size{mount=${label}}`, at) * ({ "/": 39, "/boot/efi": 1, "/srv/wal": 11, "/var/lib/data": this.disk }[label] / 100);
      case "filesystem.inodes_used": return 12;
      case "temperature": return walk(s + 15, Math.floor(at / 60) * 60, label === "CPU" || label === undefined ? this.heat : this.heat + 4, 2);
      default: return null;
    }
  }

  at(name, at) {
    return { value: this.value(name, at), at };
  }

  stamp() {
    return this.quiet || !this.online ? this.quietAt || this.seenAt : Math.floor(now());
  }

  summary() {
    const at = this.stamp();
    const latest = {};
    for (const name of ["cpu.total", "load.1", "memory.total", "memory.used", "swap.total", "swap.used", "network.received", "network.sent", "disk.read", "disk.written"]) latest[name] = this.at(name, at);
    const slow = Math.floor(at / 60) * 60;
    for (const name of ["filesystem.size{mount=/var/lib/data}", "filesystem.used{mount=/var/lib/data}"]) latest[name] = this.at(name, slow);
    if (this.heat) latest["temperature{sensor=CPU}"] = this.at("temperature{sensor=CPU}", slow);
    return latest;
  }

  full() {
    const at = this.stamp();
    const latest = {};
    for (const name of this.names()) latest[name] = this.at(name, at);
    for (const name of this.slowNames()) latest[name] = this.at(name, Math.floor(at / 60) * 60);
    return latest;
  }

  view(latest = this.summary()) {
    return {
      id: this.id, name: this.name, address: this.address, state: this.online ? "online" : "offline", tags: this.tags,
      identity: {
        hostname: this.name, machine_id: "7f".repeat(16), os_id: "debian", os_name: "Debian", os_version: "12.11", kernel: "6.1.0-38-amd64", architecture: "x86_64", virtualization: "",
        cpu_model: "EPYC 7443P", cpu_cores: this.cores, memory_bytes: this.gib * GIB, package_manager: "apt", timezone: "Europe/Berlin", booted_at: now() - this.days * 86400 - 21600, addresses: [this.address],
      },
      latest, agent_version: "0.1.0", last_seen_at: this.seenAt, policy: { mode: this.policy, verbs: this.policy === "monitor" ? [] : ["refresh", "check", "upgrade", "full-upgrade"] },
      updates: { total: this.total, security: this.security, checked_at: this.checkedAt }, reboot_required: "no", created_at: this.createdAt, credentials_kept: this.name !== "pi-hole", simulated: false, note: "", health: { level: "ok", findings: [] },
    };
  }

  history(names, from, to, points) {
    const step = Math.max(1, Math.ceil((to - from) / points));
    const start = Math.floor(from / step) * step;
    const times = [];
    for (let at = start; at <= to; at += step) times.push(at);
    const series = {};
    for (const name of names) {
      const slow = /^(filesystem|temperature)/.test(name);
      const part = times.map((at) => (this.missing(at) || at < this.createdAt || at > this.stamp() || (slow && at % 60 >= step) ? null : this.value(name, slow ? Math.floor(at / 60) * 60 : at)));
      series[name] = { avg: part, min: part.map((value) => (value === null ? null : value * (step > 5 ? 0.8 : 1))), max: part.map((value) => (value === null ? null : value * (step > 5 ? 1.25 : 1))) };
    }
    return { step, tier: step < 60 ? "1s" : "1m", times, series };
  }
}
