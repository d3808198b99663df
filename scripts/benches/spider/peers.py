"""Other monitoring programs, which a benchmark measures for comparison with Spider."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp

from scripts.benches.measure import started
from tests.support.ports import free_port

EXPORTER = "prometheus-node-exporter"
NETDATA_PACKAGES = ("netdata-core", "netdata-plugins-bash", "libnetfilter-acct1")
FETCH_LIMIT_S = 60


async def scrape(port: int) -> None:
    """Fetch the exporter's metrics once a second until cancelled, as Prometheus would."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        while True:
            began = time.monotonic()
            with contextlib.suppress(aiohttp.ClientError):  # it is still starting
                async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                    await answer.read()
            await asyncio.sleep(max(0.0, 1.0 - (time.monotonic() - began)))


@contextlib.asynccontextmanager
async def exporter(folder: Path) -> AsyncIterator[int | None]:
    """Run node_exporter with its defaults, scraped each second. Gives its pid, or None if it is not installed."""
    path = shutil.which(EXPORTER)
    if path is None:
        yield None
        return
    port = free_port()
    with started([path, f"--web.listen-address=127.0.0.1:{port}"], folder / "exporter.log") as process:
        scraping = asyncio.create_task(scrape(port), name="scrape")
        try:
            yield process.pid
        finally:
            scraping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await scraping


def fetch_netdata(folder: Path) -> tuple[Path | None, str]:
    """The root of netdata's files, or None and the reason. If netdata is not installed, its packages are unpacked in `folder`."""
    installed = shutil.which("netdata", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if installed:
        return Path(installed).resolve().parents[2], ""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return None, "netdata is not installed, and there is no apt to fetch it with"
    try:
        subprocess.run(["apt-get", "download", *NETDATA_PACKAGES], cwd=folder, check=True, capture_output=True, timeout=FETCH_LIMIT_S)
        for package in sorted(folder.glob("*.deb")):
            subprocess.run(
                ["dpkg-deb", "-x", str(package), str(folder / "netdata")], check=True, capture_output=True, timeout=FETCH_LIMIT_S
            )
    except (OSError, subprocess.SubprocessError) as error:
        return None, f"netdata is not installed, and could not be fetched: {error}"
    return folder / "netdata", ""


@contextlib.contextmanager
def netdata(folder: Path) -> Iterator[tuple[int | None, str]]:
    """Run netdata with its default collectors, on loopback. It writes only into `folder`. Gives its pid, or None and the reason."""
    root, why = fetch_netdata(folder)
    if root is None:
        yield None, why
        return
    for name in ("conf", "cache", "lib", "log"):
        (folder / name).mkdir()
    (folder / "conf/.opt-out-from-anonymous-statistics").touch()
    stock, plugins = root / "usr/lib/netdata/conf.d", root / "usr/lib/netdata/plugins.d"
    folders = {"config": "conf", "log": "log", "cache": "cache", "lib": "lib", "home": "lib"}
    lines = ["[global]", f"run as user = {os.environ.get('USER') or 'root'}", "[directories]"]
    lines += [f"{name} = {folder / name_of_folder}" for name, name_of_folder in folders.items()]
    lines += [f"stock config = {stock}", f"web = {root / 'usr/share/netdata/web'}", f'plugins = "{plugins}"']
    lines += ["[web]", f"bind to = 127.0.0.1:{free_port()}"]
    (folder / "conf/netdata.conf").write_text("\n".join(lines) + "\n")
    argv = [str(root / "usr/sbin/netdata"), "-D", "-c", str(folder / "conf/netdata.conf")]
    libraries = next(iter(sorted(root.glob("usr/lib/*-linux-gnu"))), root)
    with started(argv, folder / "netdata.log", {"LD_LIBRARY_PATH": str(libraries)}) as process:
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            yield process.pid, ""
        else:
            yield None, "netdata does not run here: " + (folder / "netdata.log").read_text(errors="replace")[-200:]
