"""Debian's Prometheus scrapes the hub's metrics without errors."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.eventually import wait_until
from tests.support.hub import ROOT, HubProcess
from tests.support.ports import free_port

PROGRAMS = ROOT / ".cache/debian/prometheus/usr/bin"
TOKEN = "a token for figures 4417"
CONFIG = """
scrape_configs:
  - job_name: stardust
    scrape_interval: 1s
    authorization: {{credentials_file: {token}}}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
START_LIMIT_S = 60


@pytest.fixture(autouse=True)
def programs() -> None:
    if not (PROGRAMS / "prometheus").exists():
        reason = "Debian's prometheus is not unpacked here; scripts/test does that as root"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


@contextmanager
def prometheus(folder: Path, hub: HubProcess) -> Iterator[str]:
    """A Prometheus that scrapes this hub each second; gives its address."""
    (folder / "token").write_text(TOKEN)
    (folder / "prometheus.yml").write_text(CONFIG.format(token=folder / "token", port=hub.port))
    address = f"127.0.0.1:{free_port()}"
    flags = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([str(PROGRAMS / "prometheus"), *flags], stdout=log, stderr=log, start_new_session=True)
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(20)


def ask(address: str, query: str) -> list[float]:
    """The values of an instant query; none while there is no response."""
    try:
        with urllib.request.urlopen(f"{address}/api/v1/query?query={query}", timeout=5) as answer:
            return [float(row["value"][1]) for row in json.load(answer)["data"]["result"]]
    except OSError:
        return []


def test_prometheus_scrapes_the_hub(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub", env={"STARDUST_METRICS_TOKEN": TOKEN}) as hub, prometheus(tmp_path, hub) as address:
        wait_until(lambda: ask(address, "up") == [1.0], START_LIMIT_S, (tmp_path / "log").read_text)
        assert ask(address, "stardust_agents_online") == [0.0]
        assert len(ask(address, "stardust_build_info")) == 1


def test_promtool_finds_no_problem(shared_hub: HubProcess) -> None:
    figures = shared_hub.local("GET", "/metrics").body
    checked = subprocess.run([str(PROGRAMS / "promtool"), "check", "metrics"], input=figures, capture_output=True, check=False, timeout=30)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
    wrong = figures.replace(b"stardust_rows_total", b"stardust_rows")
    checked = subprocess.run([str(PROGRAMS / "promtool"), "check", "metrics"], input=wrong, capture_output=True, check=False, timeout=30)
    assert checked.returncode != 0, "promtool checks nothing"
