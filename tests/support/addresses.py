"""Address rules for tests."""

from __future__ import annotations


def any_address(address: str) -> str | None:  # the signature of AddressRule
    """The rule that allows every address."""
    return None
