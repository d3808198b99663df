"""Probes this host: whether something answers on a port, or with HTTP. Only a status is read, never a body."""

import asyncio
import ssl
from typing import Dict, List, Optional, Sequence

from spider.timeouts import wait_for
from spider.wire.probes import is_probe

LIMIT_S = 2.0
"""Limit of one probe. All are asked at the same time."""
MAX_STATUS_BYTES = 1024
GOOD = "ok"


async def ask_probes(probes: Sequence[str], limit_s: float = LIMIT_S) -> Dict[str, str]:
    """Ask probes `http URL` and `tcp PORT`. Returns: probe -> `ok`, or why not. Probes of units, and what is no probe, are left out."""
    wanted = [probe for probe in probes if probe.split(" ", 1)[0] in ("http", "tcp") and is_probe(*probe.split(" ", 1))]
    answers: List[str] = list(await asyncio.gather(*(_answer(probe, limit_s) for probe in wanted)))
    return dict(zip(wanted, answers))


async def _answer(probe: str, limit_s: float) -> str:
    kind, target = probe.split(" ", 1)
    try:
        return await wait_for(limit_s, _connect("localhost", int(target)) if kind == "tcp" else _get(target))
    except asyncio.TimeoutError:
        return f"no answer within {limit_s:g} s"
    except ConnectionRefusedError:
        return "nothing listens there"
    except (OSError, ValueError, EOFError) as error:
        return f"no connection: {type(error).__name__}"


async def _connect(host: str, port: int, tls: "Optional[ssl.SSLContext]" = None, request: bytes = b"") -> str:
    reader, writer = await asyncio.open_connection(host, port, ssl=tls, limit=MAX_STATUS_BYTES)
    try:
        if not request:
            return GOOD
        writer.write(request)
        line = (await reader.readuntil(b"\n")).split()
        status = line[1].decode("ascii", "replace") if len(line) > 1 and line[0].startswith(b"HTTP/") else ""
        if len(status) != 3 or not status.isdecimal():
            return "the answer is not HTTP"
        return GOOD if "200" <= status < "400" else f"it answered {status}"
    finally:
        writer.transport.abort()  # nothing is waited for: a server that does not close must not hold the look


async def _get(url: str) -> str:
    """The certificate of a server on this host is not checked: a probe asks whether it answers, and sends and believes nothing."""
    scheme, rest = url.split("://", 1)
    authority, slash, path = rest.partition("/")
    name, _, port = (
        authority.rpartition(":") if authority.rpartition(":")[2].isdigit() and not authority.endswith("]") else (authority, "", "")
    )
    tls = None
    if scheme == "https":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    request = f"GET {slash or '/'}{path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: stardust-probe\r\nConnection: close\r\n\r\n"
    return await _connect(name.strip("[]"), int(port or (443 if tls else 80)), tls, request.encode("ascii"))
