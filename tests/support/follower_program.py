"""A Spider without a hub: runs `spider.jobs.tracker` as the unit stardust-spider.service does, and writes what a hub would store to files.

`in/<job>` are orders, `in/<job>.stop` requests to stop, and `in/updates` asks for the updates, which `out/updates` gets; `out/<job>` is the
stored output, `out/<job>.ended` the result of the job, `.answer` the launcher's answer, `.planned` and `.report` its plan and report,
`out/faults` all violations. After a restart it continues from the stored files.
"""

import asyncio
import json
import os
import random
import time

from spider.clock import SystemClock
from spider.jobs.tracker import Jobs
from spider.packages.detect import updates_manager
from spider.wire.frames import Message
from spider.wire.job_messages import JobAck, JobAnswer, JobDone, JobEnded, JobOutput, JobPlan, JobProgress, JobReport, JobStart, JobStop

STATE = "/var/lib/stardust/spider"
IN, OUT = os.path.join(STATE, "in"), os.path.join(STATE, "out")
UPDATES = "updates"


class Follower:
    """Both ends of the session in one: what Jobs sends is stored, and acknowledged after it was."""

    def __init__(self) -> None:
        os.makedirs(IN, exist_ok=True)
        os.makedirs(OUT, exist_ok=True)
        self.jobs = Jobs(
            "/var/lib/stardust/jobs", "/run/stardust/launcher.sock", SystemClock(), self.store, boot=os.environ["STARDUST_BOOT"]
        )
        self.handed_at: dict[str, float] = {}
        self.updates_wanted = False

    def _append(self, name: str, data: bytes) -> None:
        with open(os.path.join(OUT, name), "ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def _size(self, job: str) -> int:
        try:
            return os.stat(os.path.join(OUT, job)).st_size
        except FileNotFoundError:
            return 0

    async def store(self, message: Message) -> None:
        """What the hub does with a message."""
        if isinstance(message, JobOutput):
            held = self._size(message.job)
            if message.offset > held:
                self._append("faults", f"{message.job}: a hole from {held} to {message.offset}\n".encode())
                return
            self._append(message.job, message.data[held - message.offset :])
            self._append(message.job + ".chunks", f"{message.at_ms} {message.offset} {len(message.data)}\n".encode())
            await asyncio.sleep(random.uniform(0, 0.01))
            self.jobs.acked(JobAck(message.job, message.offset + len(message.data)))
        elif isinstance(message, JobProgress):
            self._append(message.job + ".progress", json.dumps(message._asdict()).encode() + b"\n")
        elif isinstance(message, JobAnswer):
            took_ms = (time.monotonic() - self.handed_at.get(message.job, time.monotonic())) * 1000
            self._append(message.job + ".answer", json.dumps(dict(message._asdict(), took_ms=took_ms)).encode() + b"\n")
        elif isinstance(message, (JobPlan, JobReport)):
            kind = ".planned" if isinstance(message, JobPlan) else ".report"
            self._append(message.job + kind, json.dumps(message._asdict()).encode() + b"\n")
        elif isinstance(message, JobEnded):
            self._append(message.job + ".ended", json.dumps(message._asdict()).encode() + b"\n")
            self.jobs.done(JobDone(message.job))

    def _take_orders(self) -> None:
        for job in os.listdir(IN):
            path = os.path.join(IN, job)
            if job == UPDATES:
                os.unlink(path)
                self.updates_wanted = True
                continue
            with open(path, "rb") as file:
                order = file.read()
            os.unlink(path)
            if job.endswith(".stop"):
                self.jobs.stop(JobStop(job[: -len(".stop")], order))
                continue
            self.handed_at[job] = time.monotonic()
            self.jobs.start(JobStart(job, order))

    def _resume(self) -> None:
        ended = [job for job in self.jobs.unconfirmed() if os.path.exists(os.path.join(OUT, job + ".ended"))]
        self.jobs.forget(ended)
        self.jobs.resume({job: self._size(job) for job in self.jobs.unconfirmed()})

    async def watch_orders(self) -> None:
        while True:
            self._take_orders()
            if self.updates_wanted:
                self.updates_wanted = False
                await self.tell_updates()
            await asyncio.sleep(0.02)

    async def main(self) -> None:
        self._resume()
        await asyncio.gather(self.jobs.run(), self.watch_orders())

    async def tell_updates(self) -> None:
        manager = updates_manager()
        assert manager is not None, "the host has a package manager"
        updates = await asyncio.get_running_loop().run_in_executor(None, manager.available_updates)
        assert updates is not None, "the package manager gives its updates"
        self._append(UPDATES, json.dumps(updates._asdict()).encode() + b"\n")


async def follow() -> None:
    """Run until killed."""
    await Follower().main()


def main() -> None:
    """The unit's program."""
    asyncio.run(follow())
