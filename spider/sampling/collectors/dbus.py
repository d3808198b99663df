"""A minimal client of the system bus: connect, authenticate as this user, call a method, read the answer. Standard library only, no
signals."""

import os
import socket
import struct
import time
from typing import Any, List, Sequence, Tuple

BUS = "/run/dbus/system_bus_socket"
LIMIT_S = 5.0
"""Time limit of one call."""
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 8
"""Deepest nesting of values that is decoded."""
MAX_ITEMS = 20_000
"""Most items of one array."""

_CALL, _RETURN, _ERROR = 1, 2, 3
_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _REPLY_SERIAL, _DESTINATION, _SIGNATURE = 1, 2, 3, 4, 5, 6, 8
_FIXED = {"y": "B", "b": "I", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d", "h": "I"}
_ALIGN = {"s": 4, "o": 4, "g": 1, "a": 4, "v": 1, "(": 8, "{": 8, **{code: struct.calcsize("=" + form) for code, form in _FIXED.items()}}


class DbusRefused(OSError):
    """The bus or the service refused the request; the text is the name of its error."""


def type_end(signature: str, at: int = 0) -> int:
    """The offset after the complete type that begins at `at` in a signature.

    Raises: ValueError: there is no complete type.
    """
    while at < len(signature) and signature[at] == "a":
        at += 1
    if at >= len(signature):
        raise ValueError("a D-Bus signature is cut off")
    if signature[at] not in "({":
        return at + 1
    depth = 0
    for path in range(at, len(signature)):
        depth += (signature[path] in "({") - (signature[path] in ")}")
        if not depth:
            return path + 1
    raise ValueError("a D-Bus signature is not closed")


class DbusReader:
    """Decodes the values of an untrusted message."""

    def __init__(self, data: bytes, little: bool, at: int = 0) -> None:
        self._data = data
        self._order = "<" if little else ">"
        self.at = at
        self._items = 0

    def values(self, signature: str) -> List[Any]:
        """Decode the values of a signature, in its order. Structures become tuples, dictionaries dicts, and arrays of bytes `bytes`.

        Raises: ValueError: the data is not of that form, or beyond a limit.
        """
        found, at = [], 0
        while at < len(signature):
            end = type_end(signature, at)
            found.append(self._value(signature[at:end], 0))
            at = end
        return found

    def _skip_to(self, boundary: int) -> None:
        self.at += -self.at % boundary

    def _take(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self._data):
            raise ValueError("a D-Bus message is cut off")
        part = self._data[self.at : end]
        self.at = end
        return part

    def _number(self, code: str) -> Any:
        form = _FIXED[code]
        self._skip_to(_ALIGN[code])
        return struct.unpack(self._order + form, self._take(struct.calcsize("=" + form)))[0]

    def _value(self, signature: str, depth: int) -> Any:
        code = signature[0]
        self._items += 1
        if depth > MAX_DEPTH or self._items > MAX_ITEMS * 16:
            raise ValueError("a D-Bus message is nested too deeply or too long")
        if code in _FIXED:
            return self._number(code)
        if code in "so":
            text = self._take(self._number("u"))
            self._take(1)
            return text.decode("utf-8", "replace")
        if code == "g":
            text = self._take(self._number("y"))
            self._take(1)
            return text.decode("ascii", "replace")
        if code == "v":
            inner = self._value("g", depth + 1)
            if type_end(inner) != len(inner):
                raise ValueError("a D-Bus variant holds more than one value")
            return self._value(inner, depth + 1)
        if code in "({":
            self._skip_to(8)
            found, at = [], 1
            while signature[at] not in ")}":
                end = type_end(signature, at)
                found.append(self._value(signature[at:end], depth + 1))
                at = end
            return tuple(found)
        if code == "a":
            return self._array(signature[1:], depth)
        raise ValueError(f"an unknown D-Bus type: {code!r}")

    def _array(self, signature: str, depth: int) -> Any:
        size = self._number("u")
        self._skip_to(_ALIGN.get(signature[0], 1))
        end = self.at + size
        if end > len(self._data):
            raise ValueError("a D-Bus array is cut off")
        if signature == "y":
            return self._take(size)
        found: List[Any] = []
        while self.at < end:
            found.append(self._value(signature, depth + 1))
            if len(found) > MAX_ITEMS:
                raise ValueError("a D-Bus array has too many items")
        return dict(found) if signature[0] == "{" else found


def _pad(data: bytearray, boundary: int) -> None:
    data.extend(bytes(-len(data) % boundary))


def write(data: bytearray, signature: str, values: Sequence[Any]) -> None:
    """Append encoded values to `data`. Args: signature: the types of `values`, of those that Spider sends: texts, 32-bit numbers, lists of texts.

    Raises: ValueError: another type.
    """
    at = 0
    for value in values:
        end = type_end(signature, at)
        kind, at = signature[at:end], end
        if kind in ("s", "o"):
            raw = value.encode()
            _pad(data, 4)
            data += struct.pack("<I", len(raw)) + raw + b"\0"
        elif kind == "g":
            raw = value.encode()
            data += bytes([len(raw)]) + raw + b"\0"
        elif kind == "u":
            _pad(data, 4)
            data += struct.pack("<I", value)
        elif kind == "as":
            _pad(data, 4)
            data += bytes(4)
            start = len(data)
            for text in value:
                write(data, "s", [text])
            data[start - 4 : start] = struct.pack("<I", len(data) - start)
        else:
            raise ValueError(f"the D-Bus type {kind!r} is not supported")


def call_of(serial: int, destination: str, path: str, interface: str, member: str, signature: str, values: Sequence[Any]) -> bytes:
    """Encode a method call. Args: signature: the types of `values`. Source: D-Bus Specification, Message Protocol."""
    body = bytearray()
    write(body, signature, values)
    head = bytearray(struct.pack("<BBBBII", ord("l"), _CALL, 0, 1, len(body), serial))
    fields = bytearray()
    named = ((_PATH, "o", path), (_INTERFACE, "s", interface), (_MEMBER, "s", member), (_DESTINATION, "s", destination))
    for code, kind, text in (*named, (_SIGNATURE, "g", signature)):
        if text:
            _pad(fields, 8)
            fields.append(code)
            write(fields, "g", [kind])
            write(fields, kind, [text])
    head += struct.pack("<I", len(fields)) + fields
    _pad(head, 8)
    return bytes(head + body)


class SystemBus:
    """One connection; use it as a context manager for a few calls."""

    def __init__(self, path: str = BUS, limit_s: float = LIMIT_S) -> None:
        self._path = path
        self._limit_s = limit_s
        self._until = 0.0
        self._serial = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)

    def __enter__(self) -> "SystemBus":
        """Connect and log in as this user.

        Raises: OSError: there is no bus, it refuses the connection, or it does not answer in time; ValueError: a malformed answer.
        """
        try:
            self._until = time.monotonic() + self._limit_s
            self._socket.settimeout(self._limit_s)
            self._socket.connect(self._path)
            self._socket.sendall(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n")
            if not self._line().startswith(b"OK "):
                raise DbusRefused("the bus does not take this user")
            self._socket.sendall(b"BEGIN\r\n")
            self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")
        except BaseException:
            self._socket.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(self, destination: str, path: str, interface: str, member: str, signature: str = "", *values: Any) -> List[Any]:
        """Call a method.

        Returns: the values of its answer.
        Raises:  DbusRefused: the answer is an error; OSError: no answer in time; ValueError: a malformed answer.
        """
        self._until = time.monotonic() + self._limit_s
        self._serial += 1
        self._socket.settimeout(self._limit_s)
        self._socket.sendall(call_of(self._serial, destination, path, interface, member, signature, values))
        while True:
            kind, serial, error, result = self._message()
            if serial == self._serial and kind == _RETURN:
                return result
            if serial == self._serial and kind == _ERROR:
                raise DbusRefused(error)

    def get(self, destination: str, path: str, interface: str, name: str) -> Any:
        """Read a property. Raises: as `call`."""
        return self.call(destination, path, "org.freedesktop.DBus.Properties", "Get", "ss", interface, name)[0]

    def get_all(self, destination: str, path: str, interface: str) -> "dict[str, Any]":
        """Read all properties of an interface. Raises: as `call`."""
        found = self.call(destination, path, "org.freedesktop.DBus.Properties", "GetAll", "s", interface)[0]
        if not isinstance(found, dict):
            raise ValueError("properties that are none")
        return found

    def _receive(self, size: int) -> bytes:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the bus does not answer")
        self._socket.settimeout(left)
        part = self._socket.recv(size)
        if not part:
            raise ConnectionError("the bus closed the connection")
        return part

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            data += self._receive(size - len(data))
        return bytes(data)

    def _line(self) -> bytes:
        data = b""
        while not data.endswith(b"\r\n"):
            data += self._receive(1)
            if len(data) > 512:
                raise ValueError("not a bus")
        return data

    def _message(self) -> Tuple[int, int, str, List[Any]]:
        """Receive a message. Returns: its type, the serial of the call that it answers (-1: none), the name of the error, the values."""
        head = self._exactly(16)
        little = head[:1] == b"l"
        order = "<" if little else ">"
        body_bytes, _serial, fields_bytes = struct.unpack(order + "III", head[4:16])
        fields_end = 16 + fields_bytes + -fields_bytes % 8
        if body_bytes + fields_end > MAX_MESSAGE_BYTES:
            raise ValueError("a D-Bus message is too big")
        rest = self._exactly(fields_end - 16 + body_bytes)
        fields = dict(DbusReader(head + rest[:fields_bytes], little, 12).values("a(yv)")[0])
        if head[1] not in (_RETURN, _ERROR):
            return head[1], -1, "", []
        values = DbusReader(rest[fields_end - 16 :], little).values(str(fields.get(_SIGNATURE, ""))) if head[1] == _RETURN else []
        return head[1], int(fields.get(_REPLY_SERIAL, -1)), str(fields.get(_ERROR_NAME, "")), values
