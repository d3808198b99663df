"""The contracts of import-linter about the slices of the hub: their order, and what each opens to others."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from grimp import ImportGraph
from importlinter import ContractCheck
from importlinter.application.contract_utils import AlertLevel, remove_ignored_imports_and_report
from importlinter.contracts.layers import LayersContract
from importlinter.contracts.protected import ProtectedContract

from groundcontrol.slices import ORDER

SLICES: Final = "<ORDER>"


class SliceContract(LayersContract):
    """The contract `layers`. It replaces the layer `<ORDER>` by a layer for each slice of the hub, the last slice on top."""

    def __init__(self, name: str, session_options: dict[str, Any], contract_options: dict[str, Any]) -> None:
        given = contract_options["layers"]
        position = given.index(SLICES)
        layers = [*given[:position], *reversed(ORDER), *given[position + 1 :]]
        super().__init__(name, session_options, {**contract_options, "layers": layers})


class OpenContract(ProtectedContract):
    """The contract `protected` for each slice: another slice imports only its modules named in `OPEN`.

    What composes the hub (`app`, `adapters`, …) is in no slice and may import any module. `ignore_imports` is the list of exceptions; one that is
    not needed any more breaks the contract.
    """

    def __init__(self, name: str, session_options: dict[str, Any], contract_options: dict[str, Any]) -> None:
        super().__init__(name, session_options, {**contract_options, "protected_modules": [], "allowed_importers": []})

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        exceptions: Any = self.ignore_imports  # a field of the class, a list in an instance
        removed = remove_ignored_imports_and_report(graph=graph, ignore_imports=exceptions, unmatched_alerting=AlertLevel.ERROR)
        outside = [child for child in graph.find_children("groundcontrol") if child.rpartition(".")[2] not in ORDER]
        illegal: list[object] = []
        for each in ORDER:
            package = f"groundcontrol.{each}"
            opened = {f"{package}.{module}" for module in import_module(package).OPEN}
            kept = sorted(graph.find_children(package) - opened)
            of_slice = {"protected_modules": kept, "allowed_importers": [package, *outside], "ignore_imports": []}
            illegal += ProtectedContract(self.name, self.session_options, of_slice).check(graph, verbose).metadata["illegal_imports"]
        return ContractCheck(
            kept=not illegal,
            warnings=list(removed.warnings),
            ignored_import_count=removed.ignored_import_count,
            metadata={"illegal_imports": illegal},
        )
