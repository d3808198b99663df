"""The contracts of import-linter about the slices of the hub: their order, that of their stores, and what each opens to others."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from grimp import ImportGraph
from importlinter import ContractCheck
from importlinter.application.contract_utils import AlertLevel, remove_ignored_imports_and_report
from importlinter.contracts.layers import LayersContract
from importlinter.contracts.protected import ProtectedContract

import groundcontrol.adapters.sqlite.stores  # noqa: F401  # completes SERVED
from groundcontrol.adapters.sqlite.control_store import SERVED
from groundcontrol.slices import ORDER

SLICES: Final = "<ORDER>"
STORES: Final = "groundcontrol.adapters.sqlite"


class SliceContract(LayersContract):
    """The contract `layers`. It replaces the layer `<ORDER>` by a layer for each slice of the hub, the last slice on top."""

    def __init__(self, name: str, session_options: dict[str, Any], contract_options: dict[str, Any]) -> None:
        given = contract_options["layers"]
        position = given.index(SLICES)
        layers = [*given[:position], *reversed(ORDER), *given[position + 1 :]]
        super().__init__(name, session_options, {**contract_options, "layers": layers})


class StoreContract(LayersContract):
    """The contract `layers` for the modules of stores. It replaces the layer `<ORDER>` by a layer for each slice of the hub.

    A module with a store is of the slice that has the store's interface; another one is of the last slice that it imports, or below all.
    """

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        given: Any = self.contract_options["layers"]
        named = {name.strip() for layer in given for name in layer.split(":")}
        of_slice: dict[int, list[str]] = {}
        for module in sorted(graph.find_children(STORES)):
            name = module.rpartition(".")[2]
            if name not in named:
                interfaces = {served.protocol.__module__ for served in SERVED.values() if served.made.__module__ == module}
                of_slice.setdefault(max(map(_place, interfaces or graph.find_modules_directly_imported_by(module))), []).append(name)
        position = given.index(SLICES)
        layers = [*given[:position], *(" : ".join(of_slice[place]) for place in sorted(of_slice, reverse=True)), *given[position + 1 :]]
        return LayersContract(self.name, self.session_options, {**self.contract_options, "layers": layers}).check(graph, verbose)


def _place(module: str) -> int:
    """The place of a module's slice in the order; -1: it is in none."""
    parts = module.split(".")
    return ORDER.index(parts[1]) if parts[0] == "groundcontrol" and parts[1] in ORDER else -1


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
