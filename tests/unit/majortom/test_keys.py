"""Private keys: size-limited, and opened in a separate process."""

from __future__ import annotations

import asyncio
import base64
import re
import struct
from typing import Any

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st

from majortom.interfaces import DeployError, Secret
from majortom.ssh.private_keys import MAX_KEY_BYTES, LoadedKey, OpenKeys, load_key, read_header
from tests.support.some import some


def made(kind: str = "ssh-ed25519", form: str = "openssh", passphrase: str | None = None, key_size: int | None = None) -> str:
    key = asyncssh.generate_private_key(kind, **({"key_size": key_size} if key_size else {}))  # type: ignore[arg-type]  # sizes only
    options = {"rounds": 4, "ignore_few_rounds": True} if passphrase and form == "openssh" else {}
    return key.export_private_key(form, passphrase=passphrase, **options).decode()  # type: ignore[arg-type]


def with_rounds(text: str, rounds: int) -> str:
    """The same OpenSSH key, but it claims another number of rounds."""
    body = base64.b64decode("".join(text.split("-----")[2].split()))
    salt = some(re.search(rb"bcrypt....(....)", body, re.DOTALL))
    at = salt.end() + struct.unpack(">I", salt[1])[0]
    body = body[:at] + struct.pack(">I", rounds) + body[at + 4 :]
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{base64.b64encode(body).decode()}\n-----END OPENSSH PRIVATE KEY-----\n"


async def code_of(text: str, passphrase: str | None = None) -> str:
    with pytest.raises(DeployError) as caught:
        await load_key(Secret(text), Secret(passphrase) if passphrase is not None else None)
    assert caught.value.step == "authenticate"
    return caught.value.code


@pytest.mark.parametrize(
    ("kind", "form", "how"),
    [
        ("ssh-ed25519", "openssh", None),
        ("ecdsa-sha2-nistp256", "openssh", None),
        ("ecdsa-sha2-nistp384", "pkcs8-pem", None),
        ("ssh-rsa", "pkcs1-pem", 3072),
        ("ssh-rsa", "pkcs8-pem", 3072),
    ],
)
async def test_usual_keys_are_read(kind: str, form: str, how: int | None) -> None:
    loaded = await load_key(Secret(made(kind, form, key_size=how)), None)
    assert loaded.key.get_algorithm() == kind
    assert loaded.fingerprint.startswith("SHA256:")
    assert loaded.warning == ""


@pytest.mark.parametrize("form", ["openssh", "pkcs8-pem"])
async def test_an_encrypted_key_opens_with_its_passphrase_alone(form: str) -> None:
    text = made(form=form, passphrase="eins zwei drei")
    assert (await load_key(Secret(text), Secret("eins zwei drei"))).type == "Ed25519"
    assert await code_of(text) == "key_encrypted"
    assert await code_of(text, "eins zwei") == "key_passphrase_wrong"


async def test_a_shared_key_is_opened_once_and_forgotten_after_its_last_user(monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[object] = []
    third = asyncio.Event()
    start = asyncio.create_subprocess_exec

    async def counted(*args: Any, **kwargs: Any) -> asyncio.subprocess.Process:
        readers.append(args)
        if len(readers) == 3:
            third.set()
        return await start(*args, **kwargs)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", counted)
    keys, text = OpenKeys(), Secret(made(passphrase="eins"))
    all_in = asyncio.Barrier(8)

    async def use(passphrase: str) -> LoadedKey:
        async with keys.opened(text, Secret(passphrase)) as key:
            async with asyncio.timeout(60):
                await all_in.wait()
            return key

    opened = await asyncio.gather(*(use("eins") for _ in range(8)))
    assert len({id(key) for key in opened}) == len(readers) == 1
    assert keys._open == {}
    with pytest.raises(DeployError):
        async with keys.opened(text, Secret("zwei")):
            raise AssertionError("it does not open")
    assert len(readers) == 2
    # One that gives up takes nothing from another one that waits for the same.
    first, second = (asyncio.create_task(_hold(keys, text)) for _ in range(2))
    async with asyncio.timeout(60):
        await third.wait()
    first.cancel()
    assert (await second).type == "Ed25519"
    assert (len(readers), keys._open) == (3, {})


async def _hold(keys: OpenKeys, text: Secret) -> LoadedKey:
    async with keys.opened(text, Secret("eins")) as key:
        return key


async def test_a_needless_passphrase_is_ignored() -> None:
    assert (await load_key(Secret(made()), Secret("unneeded"))).type == "Ed25519"


@pytest.mark.holds("SAFETY-62")
async def test_short_rsa_keys_warn_or_are_refused() -> None:
    loaded = await load_key(Secret(made("ssh-rsa", "pkcs1-pem", key_size=2048)), None)
    assert "2048" in loaded.warning
    assert await code_of(made("ssh-rsa", "pkcs1-pem", key_size=1024)) == "key_weak"


async def test_dsa_and_ed448_are_not_used() -> None:
    assert await code_of(made("ssh-dss", "pkcs8-pem")) in ("key_type", "key_unreadable")
    assert await code_of(made("ssh-ed448", "pkcs8-pem")) == "key_type"


@pytest.mark.holds("SAFETY-63", "S-55")
def test_excessive_kdf_rounds_are_refused_immediately() -> None:
    text = with_rounds(made(passphrase="x"), 2**32 - 1)  # to do them would take years
    with pytest.raises(DeployError) as caught:
        read_header(text)
    assert caught.value.code == "key_kdf_rounds"
    assert "4294967295" in caught.value.message


def test_usual_kdf_rounds_are_accepted() -> None:
    header = read_header(with_rounds(made(passphrase="x"), 512))
    assert (header.encrypted, header.rounds) == (True, 512)


@pytest.mark.holds("SAFETY-63", "S-55")
async def test_a_key_that_takes_too_long_is_killed() -> None:
    text = with_rounds(made(passphrase="x"), 512)
    with pytest.raises(DeployError) as caught:
        await load_key(Secret(text), Secret("x"), limit_s=0.5)
    assert caught.value.code == "key_too_slow"


@pytest.mark.holds("SAFETY-94")
async def test_opening_a_key_does_not_block_the_loop() -> None:
    text = with_rounds(made(passphrase="x"), 64)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    with pytest.raises(DeployError):
        await load_key(Secret(text), Secret("wrong"))
    ticking.cancel()
    assert ticks >= 3


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "key_unreadable"),
        ("hello", "key_unreadable"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGXS0hUCfyBz5JIN885BPKxEviiCAWEFgYasD3fNL/CN me", "key_is_public"),
        ("PuTTY-User-Key-File-3: ssh-ed25519\n", "key_putty"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----", "key_unreadable"),
        ("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----", "key_unreadable"),
        ("x" * (MAX_KEY_BYTES + 1), "key_too_large"),
    ],
)
async def test_an_invalid_private_key_is_reported(text: str, code: str) -> None:
    assert await code_of(text) == code


async def test_a_key_on_a_security_key_is_named() -> None:
    public = b"\0\0\0\x1ask-ssh-ed25519@openssh.com"
    blob = b"openssh-key-v1\0" + b"\0\0\0\4none" * 2 + b"\0\0\0\0" + b"\0\0\0\1" + struct.pack(">I", len(public)) + public
    text = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{base64.b64encode(blob).decode()}\n-----END OPENSSH PRIVATE KEY-----"
    assert await code_of(text) == "key_hardware"


async def test_no_message_shows_the_key_or_its_passphrase() -> None:
    text = made(passphrase="canary-passphrase")
    with pytest.raises(DeployError) as caught:
        await load_key(Secret(text), Secret("canary-wrong"))
    assert "canary" not in repr(caught.value) + caught.value.message
    assert caught.value.__cause__ is None


def outcome(text: str) -> str:
    try:
        read_header(text)
    except DeployError as exc:
        return exc.code
    return "key_header"


@given(st.binary(max_size=400))
def test_any_openssh_blob_gives_a_header_or_a_named_error(blob: bytes) -> None:
    for body in (blob, b"openssh-key-v1\0" + blob):
        text = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{base64.b64encode(body).decode()}\n-----END OPENSSH PRIVATE KEY-----"
        assert outcome(text).startswith("key_")


@given(st.text(max_size=300))
def test_any_text_gives_a_header_or_a_named_error(text: str) -> None:
    assert outcome(text).startswith("key_")
