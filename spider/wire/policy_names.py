"""Names that the lines of a policy file may have. Hub and node use the same rules. Pure."""

import re

MAX_NAMES = 64
"""Most names in one line."""
USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\$?\Z")
PATTERN = re.compile(r"[A-Za-z0-9:_.@\\*-]{1,255}\Z")
"""A name of a unit or a container, or a pattern of names: `*` stands for any characters."""
