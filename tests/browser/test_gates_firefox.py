"""The page in Debian's Firefox: log-in, a live fleet, charts and job output, without console errors."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.support.bidi import firefox
from tests.support.hub import PASSWORD, HubProcess
from tests.support.page.gate import LISTEN
from tests.support.stage import Stage, order

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

FIRST_REFUSAL = "401"
PAINTED = """[...document.querySelectorAll('canvas')].filter((canvas) => canvas.width > 100 &&
    new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size > 3).length >= 4"""
"""Several charts hold more than one colour."""


def test_the_page_works_in_firefox(tmp_path: Path) -> None:
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.fail("no Firefox is installed; scripts/test installs it")
    with HubProcess(tmp_path / "hub") as hub, Stage(hub, only=("web-01", "db-01")) as stage:
        job = order(hub, stage, "web-01", "upgrade", "succeeded")
        with firefox(program, tmp_path / "firefox") as fox:
            fox.resize(1440, 900)
            fox.before_each_page(LISTEN)
            fox.open(hub.url)
            fox.focus("input[autocomplete=username]")
            fox.press("admin")
            fox.focus("input[type=password]")
            fox.press(PASSWORD + "\ue007")
            fox.wait("document.querySelectorAll('[role=table][aria-label=Nodes] [data-node]').length === 2")
            at = fox.wait("document.querySelector('[data-series=\"cpu.total\"]')?.dataset.at")
            fox.wait(f"document.querySelector('[data-series=\"cpu.total\"]').dataset.at !== '{at}'")
            refused = fox.run("window.__violations.join()")

            fox.run("document.querySelector('[data-node]').click()")
            fox.wait(PAINTED)
            at = fox.wait("document.querySelector('[data-series=\"cpu.user\"]')?.dataset.at")
            fox.wait(f"document.querySelector('[data-series=\"cpu.user\"]').dataset.at !== '{at}'")
            refused += fox.run("window.__violations.join()")

            fox.open(f"{hub.url}/jobs/{job}")
            fox.wait("document.querySelector('.xterm-rows')?.textContent.includes('Setting up openssl')")
            green = fox.wait(
                "[...document.querySelectorAll('.xterm-rows span')].filter((one) => one.textContent === 'done').map((one) => getComputedStyle(one).color)[0]"
            )
            red, lit, blue = map(int, re.findall(r"\d+", green)[:3])
            assert lit > red
            assert lit > blue
            refused += fox.run("window.__violations.join()")
            assert refused == ""
            complaints = [text for text in fox.complaints if FIRST_REFUSAL not in text]
            assert not complaints, complaints
