"""The contract of import-linter that keeps the slices of the hub in their order."""

from __future__ import annotations

from typing import Any, Final

from importlinter.contracts.layers import LayersContract

from groundcontrol.slices import ORDER

SLICES: Final = "<ORDER>"


class SliceContract(LayersContract):
    """The contract `layers`. It replaces the layer `<ORDER>` by a layer for each slice of the hub, the last slice on top."""

    def __init__(self, name: str, session_options: dict[str, Any], contract_options: dict[str, Any]) -> None:
        given = contract_options["layers"]
        position = given.index(SLICES)
        layers = [*given[:position], *reversed(ORDER), *given[position + 1 :]]
        super().__init__(name, session_options, {**contract_options, "layers": layers})
