"""Windows of time of a node's charts: how they are named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_settings import sign_in
from tests.support.hub import Enrolled, HubProcess
from tests.support.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

HOUR_S = 3600


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    with HubProcess(tmp_path / "hub") as made:
        yield made


@pytest.fixture
def node(hub: HubProcess) -> Enrolled:
    [made] = hub.enrol("moon")
    return made


def test_a_window_of_another_day_says_its_date_and_one_of_another_year_its_year(page: Page, hub: HubProcess, node: Enrolled) -> None:
    with Stage(hub, only=("web-01",)) as stage:
        sign_in(page, hub)
        bar = page.locator(".window-bar b")
        today = datetime.now().astimezone()
        noon = today.replace(hour=12, minute=0, second=0)
        for then in (noon.replace(year=today.year - 1, day=min(today.day, 28)), noon - timedelta(days=2)):
            start = int(then.timestamp())
            page.goto(f"{hub.url}/n/{stage.ids['web-01']}?from={start}&to={start + HOUR_S // 2}")
            said = f"{then:%-d\u00a0%b}" + ("" if then.year == today.year else f"\u00a0{then.year}")
            expect(bar).to_have_text(f"{said}, 12:00 \u2013 {said}, 12:30")
        since, still = (today - timedelta(seconds=ago) for ago in (60, 30))
        page.goto(f"{hub.url}/n/{stage.ids['web-01']}?from={int(since.timestamp())}&to={int(still.timestamp())}")
        expect(bar).to_have_text(f"{since:%H:%M:%S} \u2013 {still:%H:%M:%S}" if since.date() == today.date() else re.compile(""))
