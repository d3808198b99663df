/** A job that prints the output of a real one, a little at a time. */
const now = () => Date.now() / 1000;
const ESC = "\x1b";

const PACKAGES = ["base-files", "curl", "libcurl4", "libssl3", "nginx-common", "nginx", "openssh-client", "openssh-server", "openssl", "php8.2-cli", "php8.2-common", "php8.2-fpm", "sudo"];
const LINES = [
  ["refresh", `${ESC}]0;evil title${ESC}\\Hit:1 http://mirror.lan/debian bookworm InRelease\r\n`],
  ["refresh", "Get:2 http://mirror.lan/debian-security bookworm-security InRelease [48.0 kB]\r\n"],
  ["plan", "Reading package lists... 0%\rReading package lists... 100%\rReading package lists... Done\r\n"],
  ["plan", "Building dependency tree... Done\r\nCalculating upgrade... Done\r\nThe following packages will be upgraded:\r\n"],
  ["plan", "  base-files curl libcurl4 libssl3 nginx nginx-common openssh-client openssh-server openssl\r\n  php8.2-cli php8.2-common php8.2-fpm sudo\r\n13 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\r\n"],
  ["download", "Need to get 118 MB of archives.\r\nGet:1 http://mirror.lan/debian-security bookworm-security/main openssl 3.0.17-1~deb12u3 [1434 kB]\r\n"],
  ["download", `${ESC}[32mFetched 118 MB in 4s (29.1 MB/s)${ESC}[0m\r\nPreconfiguring packages ...\r\n(Reading database ... 48211 files and directories currently installed.)\r\n`],
  ...PACKAGES.map((name) => ["commit", `Preparing to unpack .../${name}_new_amd64.deb ...\r\nUnpacking ${name} (new) over (old) ...\r\n`]),
  ...PACKAGES.map((name, index) => ["commit", `Setting up ${name} (new) ...\r\n${index === 5 ? `${ESC}[33m ==> Modified locally, keeping your version (--force-confold)${ESC}[0m\r\n` : ""}`]),
  ["triggers", "Processing triggers for libc-bin (2.36-9+deb12u13) ...\r\n"],
];

/** The output of a job with --pour: so many bytes, in lines of changing colours. */
const poured = (bytes) => Buffer.alloc(bytes, Array.from({ length: 2000 }, (_, n) => `${ESC}[3${n % 8}mline ${String(n).padStart(6, "0")} of a busy build: compiling object file number ${n}${ESC}[0m\r\n`).join(""));
const POUR_S = 14;
const POUR_MS = 12;

export class Job {
  constructor(world, node, { action, packages = null, reboot = false }, finished = false, bytesPerS = 0) {
    Object.assign(this, { world, node, action, packages: packages ?? [], reboot });
    this.id = world.newId();
    this.output = Buffer.from("");
    this.state = "queued";
    this.phase = null;
    this.percent = null;
    this.createdAt = now();
    this.startedAt = null;
    this.endedAt = null;
    this.changes = [];
    this.error = null;
    this.exitCode = null;
    if (finished) {
      this.createdAt = this.startedAt = now() - 5400;
      for (const [, text] of LINES) this.output = Buffer.concat([this.output, Buffer.from(text)]);
      this.end();
      this.endedAt = this.startedAt + 38;
    } else if (bytesPerS) this.pour(bytesPerS);
    else this.step(0);
  }

  view() {
    return {
      id: this.id, node_id: this.node.id, action: this.action, packages: this.packages, reboot: this.reboot, state: this.state, phase: this.phase, progress_percent: this.percent, exit_code: this.exitCode,
      output_bytes: this.output.length, output_sha256: this.endedAt ? "9f2c".repeat(16) : null, created_by: "admin", created_at: this.createdAt, started_at: this.startedAt, ended_at: this.endedAt, changes: this.changes, error: this.error,
      version: (this.version = (this.version ?? 0) + 1), for: null, plan: null, package: "", note: "", output_total_bytes: this.output.length, last_output_at: null, plan_digest: null, has_report: false, lost: false, stop: null, batch_id: null, follows: null,
    };
  }

  move(part) {
    Object.assign(this, part);
    this.world.tell(`job:${this.id}`, { job: this.view() }, this.output.length);
    this.world.tell("jobs", { jobs: [this.view()], gone: [] });
  }

  print(text) {
    const offset = this.output.length;
    const bytes = Buffer.from(text);
    this.output = Buffer.concat([this.output, bytes]);
    this.world.tell(`job:${this.id}`, { output: bytes, offset }, this.output.length);
  }

  /** Prints `bytesPerS` bytes a second from the first subscriber on. */
  pour(bytesPerS) {
    this.followed = () => {
      this.followed = null;
      this.#pour(bytesPerS);
    };
  }

  #pour(bytesPerS) {
    const all = poured(bytesPerS * POUR_S);
    this.move({ state: "running", startedAt: now(), phase: "commit", percent: 1 });
    const timer = setInterval(() => {
      const offset = this.output.length;
      const due = Math.min(all.length, Math.floor((now() - this.startedAt) * bytesPerS));
      this.output = all.subarray(0, due);
      this.world.tell(`job:${this.id}`, { output: all.subarray(offset, due), offset }, due);
      if (due < all.length) return;
      clearInterval(timer);
      this.end();
    }, POUR_MS);
  }

  step(index) {
    setTimeout(() => {
      if (index === 0) this.move({ state: "running", startedAt: now(), phase: "refresh", percent: 0 });
      const line = LINES[index];
      if (!line) return this.end();
      this.print(line[1]);
      const percent = Math.round(((index + 1) / LINES.length) * 100);
      if (line[0] !== this.phase || percent !== this.percent) this.move({ phase: line[0], percent });
      return this.step(index + 1);
    }, 500);
  }

  end() {
    const failed = this.action === "refresh";
    this.endedAt = now();
    this.changes = this.action === "check" || failed ? [] : PACKAGES.map((name, index) => ({ package: name, from: index === 3 ? "" : "1.0.16-1~deb12u1", to: index === 9 ? "" : "1.0.17-1~deb12u3" }));
    this.move({ state: failed ? "failed" : "succeeded", phase: null, percent: failed ? 40 : 100, exitCode: failed ? 100 : 0, error: failed ? { code: "repository_unreachable", message: "The repository mirror.lan could not be reached: the package lists are those of yesterday." } : null });
    this.world.event("job.ended", failed ? "error" : "info", this.node, `${this.action} ${failed ? "failed" : "succeeded"} on ${this.node.name}`);
  }
}
