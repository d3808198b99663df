"""What the process does for itself."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

MANY_HASHES = """
import asyncio, os
from pathlib import Path
from groundcontrol.auth.passwords import Passwords
from groundcontrol.lifecycle import give_back_memory

def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

async def main() -> None:
    passwords = Passwords(bytes(32))
    before = resident()
    for _ in range(3):
        await asyncio.gather(*(passwords.hash("lift off to the far stars") for _ in range(2)))
    passwords.close()
    print(resident() - before)

give_back_memory()
asyncio.run(main())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps it")
def test_what_hashing_a_password_takes_is_given_back() -> None:
    ran = subprocess.run([sys.executable, "-c", MANY_HASHES], capture_output=True, text=True, check=True, timeout=60)
    assert int(ran.stdout) < 10 << 20  # one hash takes 19 MiB, and each of two threads would keep as much
