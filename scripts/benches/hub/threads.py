"""hub.beside_a_thread: the loop's delay in receiving data while another thread works, by the interpreter's switch interval."""

from __future__ import annotations

import asyncio
import socket
import statistics
import subprocess
import sys
import threading
import time

import uvloop

from groundcontrol.lifecycle import SWITCH_S

SOCKETS = 200
ROUNDS = 3
ROUND_S = 6
PYTHONS_OWN_S = 0.005
SENDER = """
import socket, sys, time
ends_at, socks = time.perf_counter() + float(sys.argv[2]), [socket.socket(fileno=int(number)) for number in sys.argv[1].split(",")]
while time.perf_counter() < ends_at:
    for one in socks:
        one.send(b"%r " % time.perf_counter())
        time.sleep(0.003)
"""

Results = list[dict[str, object]]


class _Receiver(asyncio.Protocol):
    def __init__(self, late: list[float]) -> None:
        self._late = late

    def data_received(self, data: bytes) -> None:
        self._late.append(time.perf_counter() - float(data.split()[0]))


class _Worker(threading.Thread):
    """A thread that computes without a pause, as a compaction does."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.done = 0
        self.over = False

    def run(self) -> None:
        while not self.over:
            sum(number * number for number in range(300))
            self.done += 1


async def _measure() -> dict[float, list[tuple[float, float, int]]]:
    """Interval in seconds -> (median delay in s, 99th percentile in s, units of the thread's work) of each round."""
    late: list[float] = []
    loop, pairs = asyncio.get_running_loop(), [socket.socketpair() for _ in range(SOCKETS)]
    for _, ours in pairs:
        await loop.create_connection(lambda: _Receiver(late), sock=ours)
    worker = _Worker()
    worker.start()
    found: dict[float, list[tuple[float, float, int]]] = {PYTHONS_OWN_S: [], SWITCH_S: []}
    numbers = [theirs.fileno() for theirs, _ in pairs]
    words = [sys.executable, "-c", SENDER, ",".join(map(str, numbers)), str(ROUND_S)]
    try:
        for _ in range(ROUNDS):
            for interval_s, rounds in found.items():
                sys.setswitchinterval(interval_s)
                late.clear()
                before = worker.done
                sender = await asyncio.create_subprocess_exec(*words, pass_fds=numbers, stdin=subprocess.DEVNULL)
                await sender.wait()
                seen = sorted(late)
                rounds.append((seen[len(seen) // 2], seen[int(len(seen) * 0.99)], worker.done - before))
    finally:
        worker.over = True
        sys.setswitchinterval(PYTHONS_OWN_S)
    return found


def beside_a_thread() -> Results:
    """Medians of the rounds with the hub's interval, compared with Python's default in the same process."""
    found = uvloop.run(_measure())
    results: Results = []
    for at, (name, unit, factor) in enumerate((("p50", "ms", 1e3), ("p99", "ms", 1e3), ("work", "pieces", 1))):
        ours, versus = (statistics.median(one[at] for one in found[interval_s]) * factor for interval_s in (SWITCH_S, PYTHONS_OWN_S))
        line = {"value": round(ours, 2), "unit": unit, "versus": round(versus, 2), "ratio": round(ours / versus, 3)}
        results.append({"name": f"hub.beside_a_thread.{name}", **line})
    return results
