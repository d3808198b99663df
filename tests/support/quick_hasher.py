"""A cheap password hash for tests that do not test its cost."""

from __future__ import annotations

from typing import Final

import argon2

QUICK_HASHER: Final = argon2.PasswordHasher(memory_cost=8, time_cost=1, parallelism=1, type=argon2.Type.ID)
"""The least that argon2id takes: thirty microseconds instead of thirty milliseconds."""
