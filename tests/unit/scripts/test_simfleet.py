"""`scripts/fleet --offline`."""

from __future__ import annotations

import random

import pytest

from scripts.simfleet.main import OFFLINE_S, leaving


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.9])
def test_disconnects_reach_the_requested_share(share: float) -> None:
    dice = random.Random(7)
    back_at = [0.0] * 2000
    seen = []
    for second in range(600):
        for at, back in enumerate(back_at):
            if back <= second and dice.random() < leaving(share):
                back_at[at] = second + dice.uniform(*OFFLINE_S)
        seen.append(sum(back > second for back in back_at) / len(back_at))
    assert sum(seen[300:]) / 300 == pytest.approx(share, abs=0.03)
