"""A hub of a recorded version, as a program of its own: the wire of the recorded Spider behind a real WebSocket server.

Run as `python recorded_hub.py SPIDER.PYZ PORT FLEET NODE KEY`. It prints a line of JSON for each message that it takes, and for each end of a
session. The first line has the number of fields of each message.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any

sys.path.insert(0, sys.argv[1])

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from spider.wire import frames
from spider.wire.errors import ProtocolError
from spider.wire.session import HubOpening


def tell(**line: Any) -> None:
    print(json.dumps(line), flush=True)


async def session(connection: ServerConnection) -> None:
    fleet, key = sys.argv[3], bytes.fromhex(sys.argv[5])

    async def receive() -> bytes:
        data = await connection.recv()
        assert isinstance(data, bytes)
        return data

    opening = HubOpening(await receive(), os.urandom(32), int(time.time() * 1000), fleet)
    await connection.send(opening.challenge(key))
    link = opening.auth(await receive())
    await connection.send(link.send(frames.Welcome(1, int(time.time() * 1000), 10, -1, -1, [], [], [])))
    while True:
        message: Any = link.receive(await receive(), time.monotonic())
        tell(took=type(message).__name__, fields=len(message or ()))
        if type(message).__name__ == "Pack":
            ack: Any = frames.KINDS_TO_NODE[7]
            await connection.send(link.send(ack(message.stream, message.seq)))


async def serve_one(connection: ServerConnection) -> None:
    try:
        await session(connection)
    except ProtocolError as error:
        tell(ended=str(error))
        await connection.close(4400, str(error)[:100])
    except ConnectionClosed:
        tell(ended="")


async def main() -> None:
    async with serve(serve_one, "127.0.0.1", int(sys.argv[2]), subprotocols=[Subprotocol(frames.SUBPROTOCOL)], compression=None):
        tell(fields={kind: len(cls.__annotations__) for kind, cls in frames.KINDS_TO_HUB.items()})
        await asyncio.Event().wait()


asyncio.run(main())
