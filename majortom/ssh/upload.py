"""The upload folder on the server: a new folder that no other user can read."""

from __future__ import annotations

import re

from majortom.errors import failure
from majortom.ssh import shell
from majortom.ssh.shell import ShellLogin

_FOLDER = re.compile(r"/tmp/stardust-upload\.[A-Za-z0-9]{10}\Z")  # noqa: S108  # made there by mktemp, mode 0700
_MAKE = "main() { umask 077; printf 'folder %s\\n' \"$(mktemp -d /tmp/stardust-upload.XXXXXXXXXX)\"; printf 'ok\\n'; }\nmain </dev/null\nexit $?\n"
_DROP = """main() {
    case $1 in /tmp/stardust-upload.*) ;; *) exit 1 ;; esac
    for key in "$1/session.key" "$1/launch.key"; do
        [ -f "$key" ] && [ ! -L "$key" ] && command -v shred >/dev/null 2>&1 && shred -u -n 1 -- "$key"
    done
    rm -rf -- "$1"
    printf 'ok\\n'
}
main "$1" </dev/null
exit $?
"""


async def make_folder(login: ShellLogin, limit_s: float) -> str:
    """Make the folder, as the log-in user.

    Raises: DeployError.
    """
    answer = await shell.run(login, _MAKE, [], "upload", limit_s, root=False)
    folder = (answer.of("folder") or [""])[0]
    if not _FOLDER.match(folder):
        raise failure("upload_failed", "upload", why="no folder could be made in /tmp")
    return folder


async def drop(login: ShellLogin, folder: str, limit_s: float) -> None:
    """Overwrite the keys in the folder, and remove it.

    Raises: DeployError.
    """
    await shell.run(login, _DROP, [folder], "upload", limit_s, root=False)
