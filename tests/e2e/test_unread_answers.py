"""Long responses that clients do not read: the hub's buffers are bounded, and other clients are answered."""

from __future__ import annotations

import contextlib
import socket
import time
from collections import Counter

import pytest

from tests.support.attack_tools import resident_bytes
from tests.support.hub import HubProcess

READERS = 100
LIMIT_BYTES = 200 << 20


@pytest.mark.slow  # its hundred charts take as long as six other tests; test_attacks_floods has the other ways to hold what is answered
@pytest.mark.holds("S-28")
def test_unread_charts_do_not_fill_the_memory(hub: HubProcess) -> None:
    [node] = hub.enrol("web-1")
    token = hub.login().token
    chart = f"/api/v1/nodes/{node.node_id}/history?metric=cpu.total"
    hub.request("GET", chart, token=token)
    before = worst = resident_bytes(hub)
    end = time.time() - 40_000
    series = "&".join(f"metric=cpu.core%7Bcore={core}%7D" for core in range(50))
    path = f"/api/v1/nodes/{node.node_id}/history?{series}&points=4000&from={end - 3999:.0f}&to={end:.0f}"
    health: Counter[int] = Counter()
    charts: Counter[int] = Counter()
    with contextlib.ExitStack() as open_sockets:
        for _ in range(READERS):
            reader = open_sockets.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", hub.port))
            reader.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{hub.port}\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        until = time.monotonic() + 20
        while time.monotonic() < until:
            worst = max(worst, resident_bytes(hub))
            charts[hub.local("GET", chart).status] += 1  # another client's
            health[hub.request("GET", "/healthz").status] += 1
            time.sleep(0.2)
    print(f"{before >> 20} MiB before, {worst >> 20} at most; health {dict(health)}, charts of others {dict(charts)}")
    assert worst - before < LIMIT_BYTES, f"{(worst - before) >> 20} MiB more"
    assert set(charts) == {200}, charts
