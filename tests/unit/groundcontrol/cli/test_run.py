"""`stardust run`: a job is followed to its end, and messages about it are on separate lines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import pytest

from groundcontrol.cli import run
from groundcontrol.cli.client import UNREACHABLE, CliError, Hub
from groundcontrol.cli.nodes import updates_text
from groundcontrol.cli.watch import JobWatch

STOP = {"state": "too_late", "by": "me", "why": "it is at its last step"}
PLAN: dict[str, Any] = {
    "steps": [{"package": "a", "from": "1", "to": "2", "security": "no", "repository": "lab"}],
    "kept": [], "counts": {"upgrades": 1, "new": 0, "removals": 0, "security": 0, "kept": 0},
    "download_bytes": 5, "reboot": "no", "digest": "d" * 64,
}  # fmt: skip


class Told:
    """A hub that tells of one job what the test wants, one answer after the other."""

    def __init__(self, *answers: dict[str, Any], output: bytes = b"") -> None:
        self._answers = list(answers)
        self._output = output
        self.refusals: list[CliError] = []
        """Each answers one question for output, or ends the answer after its first byte where it is `CUT`."""

    async def get(self, _path: str) -> dict[str, Any]:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    async def pieces(self, _path: str, params: dict[str, str]) -> AsyncIterator[bytes]:
        offset = int(params["offset"])
        if self.refusals:
            refusal = self.refusals.pop(0)
            if refusal is CUT:
                yield self._output[offset : offset + 1]
            raise refusal
        yield self._output[offset:]


CUT = CliError("no hub answers: the connection broke", UNREACHABLE)
BUSY = CliError("64 outputs are under way already", "unavailable")


async def followed(hub: Told) -> dict[str, Any]:
    ended: dict[str, Any] = await run._follow_until_end(
        JobWatch(cast("Hub", hub), quiet=True, retry_s=0.0), job("queued", "", 0), print_output=True
    )
    return ended


def job(state: str, phase: str, size: int, stop: dict[str, str] | None = None) -> dict[str, Any]:
    return {"id": "1", "state": state, "phase": phase, "stop": stop, "note": "", "output_bytes": size}


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (b"", ""),
        (b"done\r\n", "done\r\n"),
        (b"100%", "100%\n"),
        (b"done\n\x1b[0m", "done\n\x1b[0m"),
        (b"\x1b[31mno", "\x1b[31mno\n"),
        (b"done\n\x1b]0;title\x07", "done\n"),
    ],
)
async def test_messages_about_a_job_begin_on_their_own_line(capsys: pytest.CaptureFixture[str], output: bytes, shown: str) -> None:
    hub = Told(job("running", "commit", 0), job("running", "commit", len(output)), job("succeeded", "check", len(output)), output=output)
    ended = await followed(hub)
    assert ended["state"] == "succeeded"
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize("refusals", [[BUSY, BUSY], [CUT, CUT], [CUT, BUSY, CUT, CUT]])
async def test_output_that_is_refused_or_cut_is_asked_for_again_from_where_it_ended(
    capsys: pytest.CaptureFixture[str], refusals: list[CliError]
) -> None:
    hub = Told(job("running", "commit", 5), job("succeeded", "check", 5), output=b"done\n")
    hub.refusals = list(refusals)
    ended = await followed(hub)
    assert (ended["state"], hub.refusals) == ("succeeded", [])
    assert capsys.readouterr().out == "done\n"


async def test_the_result_of_a_stop_request_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    hub = Told(*([job("running", "commit", 0, STOP)] * 2), job("running", "check", 0, STOP), job("succeeded", "check", 0, STOP))
    await followed(hub)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["[commit, stop: too_late]", "[check, stop: too_late]"]


def text_of(securities: Sequence[str], count: int) -> str:
    steps = [{**PLAN["steps"][0], "security": security} for security in securities]
    return run.plan_text({**PLAN, "steps": steps, "counts": {**PLAN["counts"], "security": count}})


def test_unknown_security_updates_are_not_shown_as_zero() -> None:
    assert ", 0 for security, " in text_of(["no"], 0)
    assert ", 1 for security, " in text_of(["no", "yes"], 1)
    assert ", at least 1 for security, " in text_of(["unknown", "yes"], 1)
    assert ", security updates are unknown, " in text_of(["unknown", "unknown"], 0)
    assert updates_text({"total": 7, "security": None}) == "7 (-)"
    assert updates_text({"total": 7, "security": 0}) == "7 (0)"
    assert updates_text({"total": None, "security": None}) == "-"
