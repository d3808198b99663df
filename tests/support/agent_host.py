"""A lab host with Stardust's units and bundle installed by hand, and orders for it."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from importlib import resources
from pathlib import Path
from typing import Any

from spider.wire.ids import new_random_id, new_time_id
from spider.wire.orders import SignedOrder, seal_order
from tests.support.bundles import shipped_bundle
from tests.support.lab import Host
from tests.support.some import some

LAUNCH_KEY = bytes(range(32))
PATIENCE_S = 240.0
"""How long a test waits for anything on a host: on a busy machine things take many times as long as on a calm one."""
LOOK_EVERY_S = 0.25
"""Each look at a host starts programs there, which takes processor time from what is waited for."""
VERSION_DIR = "/opt/stardust/0.0-test"
BYTECODE = f"spider.pyz.{sys.implementation.cache_tag}"
"""The bytecode of this interpreter's version. Hosts with another version write their own."""
JOBS = "/var/lib/stardust/jobs"
IN, OUT = "/var/lib/stardust/spider/in", "/var/lib/stardust/spider/out"
_MAIN = """
if sys.argv[1:2] == ["launch"]:
    from spider.root.launcher import main
    sys.exit(main(sys.argv[2:]))
elif sys.argv[1:2] == ["run"]:
    from spider.root.runner import main
    sys.exit(main(sys.argv[2:]))
if os.path.exists(compiled) and os.stat(compiled).st_mtime_ns == os.stat(sys.path[0]).st_mtime_ns:
    sys.path.insert(0, compiled)
from follower import main
main()
"""
_HAND_IN = """
import json, socket, sys, time
for line in sys.stdin:
    began = time.monotonic()
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(40)
    said = b""
    try:
        client.connect("/run/stardust/launcher.sock")
        client.sendall(bytes.fromhex(line))
        while not said.endswith(b"\\n"):
            more = client.recv(4096)
            if not more:
                break
            said += more
    except (ConnectionError, FileNotFoundError):  # a socket that is closed is no answer either
        pass
    print(json.dumps({"said": said.decode(), "took_ms": (time.monotonic() - began) * 1000}))
"""
HELD_SLEEP = b"""#!/bin/sh
test -z "$SYSTEMD_PAGER" || while test -e /run/hold; do sleep.real 0.2; done  # jobs alone have it
exec sleep.real "$@"
"""
_TMPFILES = "systemd-tmpfiles --create /etc/tmpfiles.d/stardust.conf"


_WRITE_BYTECODE = """
import sys
from importlib import import_module
sys.path.insert(0, sys.argv[1])
import follower
import spider.selfcare.uninstall  # the runner has loaded it by then
from spider.packages.detect import BACKENDS
from spider.root import runner
from spider.root.bytecode import write_bytecode
for path, *_ in BACKENDS.values():
    import_module(path.rpartition(".")[0])
write_bytecode()
"""


@functools.cache
def follower_bundle() -> bytes:
    """The shipped agent with another entry point: without arguments it runs `follower_program.py`."""
    source = io.BytesIO(shipped_bundle())
    target = io.BytesIO()
    with zipfile.ZipFile(source) as shipped, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in shipped.namelist():
            content = shipped.read(name)
            archive.writestr(name, content.partition(b"from spider.__main__")[0] + _MAIN.encode() if name == "__main__.py" else content)
        archive.writestr("follower.py", Path(__file__).with_name("follower_program.py").read_bytes())
    return target.getvalue()


@functools.cache
def follower_bytecode() -> bytes:
    """The bytecode of this bundle, which the first job of a host would write. That takes 0.2 s of processor time."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "spider.pyz"
        bundle.write_bytes(follower_bundle())
        subprocess.run([sys.executable, "-I", "-S", "-B", "-c", _WRITE_BYTECODE, str(bundle)], check=True, timeout=60)
        return bundle.with_name(BYTECODE).read_bytes()


class AgentHost:
    """One host on which orders can be given."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.node = new_random_id()

    def put(self, path: str, content: bytes, mode: str = "0644", owner: str = "root:root") -> None:
        """Write a file on the host."""
        encoded = base64.b64encode(content).decode()
        self.host.run("/bin/sh", "-euc", f"base64 -d > {path}.new; chmod {mode} {path}.new; chown {owner} {path}.new; mv {path}.new {path}", stdin=encoded)  # fmt: skip

    def policy(self, text: str) -> None:
        self.put("/etc/stardust/policy.conf", text.encode())

    def install(self) -> None:
        """Install units, user, folders, keys and bundle as a deployment and the first job leave them. One call to the host, since each costs."""
        units = resources.files("majortom") / "remote/units"
        conf = f"[hub]\nurl = ws://127.0.0.1:1/ws\nfleet = {new_random_id()}\n[node]\nid = {self.node}\ngeneration = 1\n"
        names = ("stardust-spider.service", "stardust-launcher.socket", "stardust-launcher@.service", "stardust-job@.service")
        files = {f"/etc/systemd/system/{name}": ((units / name).read_bytes(), 0o644) for name in names}
        files |= {
            "/etc/sysusers.d/stardust.conf": ((units / "stardust.sysusers.conf").read_bytes(), 0o644),
            "/etc/tmpfiles.d/stardust.conf": ((units / "stardust.tmpfiles.conf").read_bytes(), 0o644),
            f"{VERSION_DIR}/spider.pyz": (follower_bundle(), 0o644),
            f"{VERSION_DIR}/{BYTECODE}": (follower_bytecode(), 0o644),
            "/etc/stardust/launch.key": (LAUNCH_KEY, 0o600),
            "/etc/stardust/spider.conf": (conf.encode(), 0o644),
            "/etc/stardust/policy.conf": (b"[policy]\nversion = 1\nmode = managed\n", 0o644),
        }
        packed, now = io.BytesIO(), int(time.time())  # bytecode is valid for a bundle of the same time
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, (content, mode) in files.items():
                entry = tarfile.TarInfo(name.lstrip("/"))
                entry.size, entry.mode, entry.mtime = len(content), mode, now
                archive.addfile(entry, io.BytesIO(content))
        script = (
            f"umask 022; base64 -d | tar -x --no-same-owner -C / -f -; ln -sfn {VERSION_DIR} /opt/stardust/current;"
            f"systemd-sysusers /etc/sysusers.d/stardust.conf; {_TMPFILES};"
            "systemctl -q enable --now stardust-launcher.socket stardust-spider.service"
        )
        self.host.run("/bin/sh", "-euc", script, stdin=base64.b64encode(packed.getvalue()).decode())

    def seal(self, verb: str, args: dict[str, Any] | None = None, key: bytes = LAUNCH_KEY, **over: Any) -> tuple[str, bytes]:
        """Make an order. Returns: the id of its job, and its sealed frame. `over`: other fields of SignedOrder."""
        now = int(time.time())
        order = SignedOrder(self.node, 1, new_time_id(), verb, args or {}, now, now + 300)._replace(**over)
        return order.job, seal_order(key, order)

    def hand_in(self, frame: bytes, user: str = "stardust") -> dict[str, Any]:
        """Send a frame to the launcher's socket as this user. Returns: the answer's fields, if there is an answer, and `took_ms`."""
        [answer] = self.hand_in_all([frame], user)
        return answer

    def hand_in_all(self, frames: list[bytes], user: str = "stardust") -> list[dict[str, Any]]:
        """The same for frames one after the other, each on a connection of its own."""
        lines = "".join(f"{frame.hex()}\n" for frame in frames)
        done = self.host.run("runuser", "-u", user, "--", "python3", "-I", "-S", "-c", _HAND_IN, stdin=lines)
        told = [json.loads(line) for line in done.stdout.splitlines()]
        return [{**json.loads(facts["said"] or "{}"), "took_ms": facts["took_ms"]} for facts in told]

    def order(self, verb: str, args: dict[str, Any] | None = None) -> str:
        """Give an order to Spider."""
        job, frame = self.seal(verb, args)
        self.deliver(job, frame)
        return job

    def deliver(self, job: str, frame: bytes, ending: str = "") -> None:
        state, name = "/var/lib/stardust/spider", job + ending
        script = (
            f"for i in $(seq 600); do test -d {OUT} && break; sleep 0.05; done;"
            f"base64 -d >{state}/{name}; chmod 0644 {state}/{name}; mv {state}/{name} {state}/in/{name}"
        )
        self.host.run("/bin/sh", "-euc", script, stdin=base64.b64encode(frame).decode())

    def count_updates(self) -> dict[str, Any]:
        """The updates that Spider counts in its sandbox, without privileges. To count them takes up to 2 s of a processor."""
        self.host.sh(f"until test -d {IN}; do sleep 0.1; done; rm -f {OUT}/updates; touch {IN}/updates")
        self.wait(f"test -s {OUT}/updates")
        found: dict[str, Any] = json.loads(self.host.read(f"{OUT}/updates"))
        return found

    def stop(self, job: str, *, force: bool = False) -> None:
        """Request the stop of a job, as the hub does."""
        _, frame = self.seal("stop", {"force": True} if force else {}, job=job)
        self.deliver(job, frame, ".stop")

    def told(self, job: str, kind: str) -> list[dict[str, Any]]:
        """Spider's messages about a job: `progress`, `planned`, `report`, `ended`, `answer`; oldest first."""
        text = self.host.sh(f"cat {OUT}/{job}.{kind} 2>/dev/null || true")
        return [json.loads(line) for line in text.splitlines()]

    def wait(self, condition: str, limit_s: float = PATIENCE_S) -> None:
        """Wait until a shell condition holds on the host. Raises: AssertionError: not within `limit_s`."""
        done = self.host.run(
            "timeout",
            str(limit_s),
            "/bin/sh",
            "-c",
            f"until {condition}; do sleep {LOOK_EVERY_S}; done",
            check=False,
            timeout_s=limit_s + 30,
        )
        assert done.returncode == 0, f"not within {limit_s} s: {condition}\n{self.journal()}"

    def hold_scripts(self) -> None:
        """From now on each `sleep` of a package's script lasts until `release_scripts`."""
        if self.host.run("test", "-e", "/usr/bin/sleep.real", check=False).returncode:
            self.put("/usr/bin/sleep.held", HELD_SLEEP, "0755")
            self.host.sh("cp -a /usr/bin/sleep /usr/bin/sleep.real; mv /usr/bin/sleep.held /usr/bin/sleep")
        self.host.sh("touch /run/hold")

    def release_scripts(self) -> None:
        """Let the held scripts go on."""
        self.host.sh("rm /run/hold")

    def wait_for_boot_after(self, boot: bytes, limit_s: float = PATIENCE_S) -> None:
        """Wait until the host has booted again and Spider runs. Each question has a time limit: one during the shutdown is never answered."""
        ends_at = time.monotonic() + limit_s
        question = "cat /proc/sys/kernel/random/boot_id; systemctl is-active stardust-spider.service"
        while time.monotonic() < ends_at:
            try:
                told = self.host.run("/bin/sh", "-c", question, check=False, timeout_s=20).stdout.split()
            except subprocess.TimeoutExpired:
                continue
            if len(told) == 2 and told[0] != boot.decode().strip() and told[1] == "active":
                return
            time.sleep(LOOK_EVERY_S)
        raise AssertionError(f"the host has not come back within {limit_s} s")

    def gather(self, job: str, limit_s: float = PATIENCE_S) -> dict[str, bytes]:
        """Wait until Spider has reported the end of a job. Returns: all its files by name.

        `log` and `result` are the runner's files. `output`, `ended`, `answer`, `planned` and others are Spider's messages. One call to the
        host gets all of them, since each call costs.
        """
        script = (
            f"timeout {limit_s} sh -c 'until test -s {OUT}/{job}.ended; do sleep {LOOK_EVERY_S}; done' || exit 9;"
            f"cd {OUT}; ln {job} {job}.output 2>/dev/null || :; cd {JOBS}/{job}; tar -c log $(ls result 2>/dev/null) -C {OUT} $(cd {OUT}; ls {job}.* faults 2>/dev/null) | base64 -w0"
        )
        done = self.host.run("/bin/sh", "-c", script, check=False, timeout_s=limit_s + 60)
        assert done.returncode == 0, f"the job has not ended within {limit_s} s: {done.stderr}\n{self.journal()}"
        with tarfile.open(fileobj=io.BytesIO(base64.b64decode(done.stdout))) as archive:
            found = {}
            for member in archive:
                file = archive.extractfile(member)
                if file is not None:
                    found[member.name.removeprefix(f"{job}.")] = file.read()
                elif member.islnk():
                    linked = some(archive.extractfile(member.linkname))
                    found[member.name.removeprefix(f"{job}.")] = linked.read()
        return found

    def wait_ended(self, job: str, limit_s: float = PATIENCE_S) -> dict[str, Any]:
        """Wait for Spider's message about the end of the job, and return it."""
        self.wait(f"test -s {OUT}/{job}.ended", limit_s)
        found: dict[str, Any] = json.loads(self.host.read(f"{OUT}/{job}.ended").splitlines()[0])
        return found

    def result(self, job: str) -> dict[str, Any]:
        """The runner's result file."""
        found: dict[str, Any] = json.loads(self.host.read(f"{JOBS}/{job}/result"))
        return found

    def log(self, job: str) -> bytes:
        return self.host.read(f"{JOBS}/{job}/log")

    def check_output(self, job: str) -> bytes:
        """Check that the follower received every byte of the runner's log once, and that the runner's digest fits. Returns: the output."""
        stored, log, result = self.host.read(f"{OUT}/{job}"), self.log(job), self.result(job)
        assert stored == log
        assert hashlib.sha256(stored).hexdigest() == result["sha256"]
        assert len(stored) == result["bytes"]
        assert self.host.sh(f"cat {OUT}/faults 2>/dev/null || true") == ""
        return stored

    def version(self, package: str) -> str:
        """State and version of a package, as dpkg has them."""
        return self.host.sh(f"dpkg-query -W -f='${{db:Status-Abbrev}}${{Version}}' {package}").strip()

    def journal(self) -> str:
        return self.host.sh("journalctl --no-pager -n 60 -o cat -u 'stardust-*' || true")
