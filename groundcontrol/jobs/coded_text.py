"""Finds the code and the facts of a sentence that a node wrote about a job. Pure.

Both come from the text itself, so a hostile node can add nothing: the template with the facts always gives the same text.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from spider.wire.sentences import SENTENCES


class CodedText(NamedTuple):
    """One sentence of the catalogue."""

    code: str
    template: str
    """Its English text, with `{name}` where a fact belongs."""
    facts: dict[str, str]


def _pattern(template: str) -> re.Pattern[str]:
    """The pattern of a template. A fact ends at the first character of the text after it, so matching takes linear time."""
    texts, names = re.split(r"\{\w+\}", template), re.findall(r"\{(\w+)\}", template)
    facts = [f"(?P<{name}>[^{re.escape(after[0])}]+)" for name, after in zip(names[:-1], texts[1:], strict=False)]
    facts += [f"(?P<{name}>.+)" for name in names[-1:]]
    return re.compile("".join(re.escape(text) + fact for text, fact in itertools.zip_longest(texts, facts, fillvalue="")))


LOSSES: Final = frozenset(
    {"reboot.services", "reboot.ports", "reboot.mounts", "reboot.routes", "reboot.failed_units", "reboot.kernel_older"}
)
"""Codes of notes on services, ports, mounts, units and kernels that did not come as they should after a reboot."""

LOSS_BEGINS: Final = tuple(SENTENCES[code].partition("{")[0] for code in sorted(LOSSES))
"""How these notes begin."""

_PATTERNS: Final = {code: _pattern(template) for code, template in SENTENCES.items()}


def coded_text(text: str) -> CodedText | None:
    """The sentence of the catalogue that fits a text; None: this version of the hub has none."""
    for code, pattern in _PATTERNS.items():
        if found := pattern.fullmatch(text):
            return CodedText(code, SENTENCES[code], found.groupdict())
    return None


def losses(notes: Iterable[str]) -> list[str]:
    """The notes of a report that say what a server came back from its reboot without."""
    return [note for note in notes if (coded := coded_text(note)) is not None and coded.code in LOSSES]


def names_loss(notes: Iterable[str]) -> bool:
    """Whether a note of a report says that a server came back from its reboot without something."""
    return bool(losses(notes))
