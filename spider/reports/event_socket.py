"""The sockets on which programs of this host report events."""

import os


def root_socket(path: str) -> str:
    """The socket for root alone, beside the one for all users: no connection of another user can keep root's own out."""
    return os.path.join(os.path.dirname(path), "root-" + os.path.basename(path))
