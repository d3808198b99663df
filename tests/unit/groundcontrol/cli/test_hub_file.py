"""`apply` of a file that is no JSON says which form it wants."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundcontrol.cli.client import CliError
from groundcontrol.cli.policy import FILE


def test_a_file_of_yaml_is_refused_with_the_form_that_is_read(tmp_path: Path) -> None:
    written = tmp_path / "nights.yaml"
    written.write_text("policies:\n  - name: nights\n")
    with pytest.raises(CliError, match=r"nights\.yaml is no JSON, and neither YAML .*; `stardust policy export` prints such a file"):
        FILE._read(written)
    written.unlink()
    with pytest.raises(CliError, match=r"nights\.yaml cannot be read: No such file"):
        FILE._read(written)
