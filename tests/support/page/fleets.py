"""Nodes with their own answers to orders, and lists that several tests read."""

from __future__ import annotations

import asyncio
import threading
import time

from playwright.sync_api import Page

from spider.wire.frames import Message
from spider.wire.job_messages import JobAnswer, JobOutput, JobPlan, JobProgress, JobReport, JobStart, JobStop
from spider.wire.orders import SignedOrder
from spider.wire.report_messages import LogLines
from tests.support.agent import IDENTITY, TestAgent
from tests.support.hub import Enrolled, HubProcess
from tests.support.job_messages import LINE, ended
from tests.support.page.waits import until
from tests.support.played import PlayedNodes
from tests.support.wire import open_order

ACCEPTED = 202

CHECK = "Check for updates"

COLUMNS = ["package", "installed", "candidate", "security", "repository"]


DIGEST = "b" * 64


NAMES = ("web-1", "web-2", "web-3", "watched")
"""web-1 needs a reboot after an upgrade; web-2 fails; web-3 holds a reboot until it is stopped by force; the last one allows watching only."""


class Fleet(PlayedNodes):
    """Takes what it is ordered; what comes of it goes by the node's name."""

    def __init__(self, hub: HubProcess, nodes: list[Enrolled]) -> None:
        super().__init__(hub, nodes)
        self.orders: list[tuple[str, SignedOrder]] = []

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        mode = "monitor" if node.name == "watched" else "managed"
        await agent.say(IDENTITY._replace(hostname=node.name, policy_mode=mode))
        if node.name == "web-1":
            now_ms = int(time.time() * 1000)
            texts = ["Failed <b>password</b>", "I/O error\n\ton \x1b[31msda\u202e"]
            await agent.say(LogLines("", "c1", 3, [now_ms - 1, now_ms], [4, 3], ["ssh.service", "kernel"], texts))

    async def answer(self, agent: TestAgent, node: Enrolled, told: Message | None) -> None:
        if not isinstance(told, (JobStart, JobStop)):
            return
        order = open_order(node.launch_key, told.order)
        self.orders.append((node.name, order))
        if isinstance(told, JobStop):
            if order.args.get("force"):
                await agent.say(ended(told.job, LINE, state="failed", error_code="job.packages_broken", error_text="its script was ended"))
            else:
                await agent.say(JobProgress(told.job, 0, "triggers", 90, "", "its script runs", "too_late"))
            return
        await agent.say(JobAnswer(told.job, "accepted", "", 0))
        if order.verb == "reboot" and node.name == "web-3":
            await agent.say(JobOutput(told.job, 0, 0, LINE), JobProgress(told.job, 0, "triggers", 90, "", ""))
        elif node.name == "web-2":
            await agent.say(ended(told.job, b"", state="failed", error_code="job.package_manager", error_text="the mirror is away"))
        else:
            if order.verb == "upgrade" and node.name == "web-1":
                await agent.say(JobReport(told.job, "yes", "a new kernel", [], [], [], [], []))
            await agent.say(JobOutput(told.job, 0, 0, LINE), ended(told.job, LINE))


def choose(page: Page, *names: str) -> None:
    """Select these, and open the dialog of an action."""
    for name in names:
        page.get_by_role("checkbox", name=f"Select {name}", exact=True).check()
    page.get_by_role("region", name="Selection").get_by_role("button", name="Run…").click()


PLAN_DIGEST = "5e" * 32


def plan(job: str) -> JobPlan:
    return JobPlan(
        job, 0, 1, PLAN_DIGEST, ["curl", "old-lib"], ["1.0", "2"], ["1.1", ""], ["yes", "no"], ["main", ""], ["vim"], ["9.1"], ["phased"],
        2048, -100, "yes", "a new kernel",
    )  # fmt: skip


LINES = 300


WIDE = "wide " + "x" * 100 + " end of the wide line"


FIRST = (
    b"\x1b]0;evil title\x07\x1b]52;c;ZXZpbA==\x07\x1b]8;;http://evil.example\x07a link\x1b]8;;\x07\r\n"
    + f"{WIDE}\r\n".encode()
    + b"".join(b"line %d of many%s\r\n" % (number, b" NEEDLE" if number % 100 == 7 else b"") for number in range(1, LINES + 1))
)


NEXT = b"\x1b[31mand then some more\x1b[0m\r\n"


class Printer(PlayedNodes):
    """Prints what the test says."""

    def __init__(self, hub: HubProcess, nodes: list[Enrolled]) -> None:
        super().__init__(hub, nodes)
        self.printed = b""
        self.began = threading.Event()

    async def answer(self, agent: TestAgent, node: Enrolled, told: Message | None) -> None:
        if isinstance(told, JobStart):
            self.agent, self.job = agent, told.job
            await agent.say(JobAnswer(told.job, "accepted", "", 0))
            self.began.set()

    def print(self, data: bytes) -> None:
        """From the test's thread."""
        message = JobOutput(self.job, len(self.printed), 0, data)
        self.printed += data
        asyncio.run_coroutine_threadsafe(self.agent.say(message), self._loop).result(10)

    def end(self) -> None:
        asyncio.run_coroutine_threadsafe(self.agent.say(ended(self.job, self.printed)), self._loop).result(10)


def checked(page: Page, hub: HubProcess, printer: Printer, node: Enrolled) -> str:
    """A check of it, which has ended well."""
    printer.began.clear()
    job = hub.local("POST", f"/api/v1/nodes/{node.node_id}/jobs", {"action": "check"})
    assert job.status == ACCEPTED, job.body
    assert printer.began.wait(30)
    printer.end()
    made: str = job.json["id"]
    until(page, lambda: hub.job(made)["state"], lambda state: state == "succeeded")
    return made
