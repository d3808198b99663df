"""NVIDIA's management library, through ctypes: its driver provides metrics in no other way. Imported only on hosts with that driver."""

import logging
from typing import Any, Callable, List, Optional

from spider.logs import event
from spider.sampling.collectors.gpu import Gpu
from spider.wire.text import plain

LIBRARY = "libnvidia-ml.so.1"
MAX_GPUS = 64
_SUCCESS = 0
_CORE = 0
"""NVML_TEMPERATURE_GPU."""

log = logging.getLogger(__name__)


class Nvml:
    """The library, loaded and initialised at the first reading. It is disabled if it cannot be loaded or cannot access its devices.

    Source: NVML API Reference: nvmlInit_v2, nvmlDeviceGetCount_v2, nvmlDeviceGetHandleByIndex_v2, nvmlDeviceGetName,
    nvmlDeviceGetUtilizationRates, nvmlDeviceGetMemoryInfo, nvmlDeviceGetTemperature (°C), nvmlDeviceGetPowerUsage (mW).
    """

    def __init__(self, library: str = LIBRARY) -> None:
        self._library = library
        self._lib: Any = None
        self._off = False

    def read(self) -> List[Gpu]:
        """Query each GPU; empty if that fails."""
        if self._off:
            return []
        try:
            return self._read()
        except Exception as error:  # an unknown library, or no executable memory: measuring no GPUs is better than failing
            event(log, "nvml_off", logging.WARNING, why=f"{type(error).__name__}: {error}")
            self._off = True
            return []

    def _read(self) -> List[Gpu]:
        import ctypes  # noqa: PLC0415 - may fail where memory must not be made executable

        if self._lib is None:
            lib = ctypes.CDLL(self._library)
            _call(lib.nvmlInit_v2)
            self._lib = lib
        lib = self._lib
        count = ctypes.c_uint()
        _call(lib.nvmlDeviceGetCount_v2, ctypes.byref(count))
        found: List[Gpu] = []
        for index in range(min(count.value, MAX_GPUS)):
            device = ctypes.c_void_p()
            if lib.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(device)) != _SUCCESS:
                continue
            name = ctypes.create_string_buffer(96)
            lib.nvmlDeviceGetName(device, name, ctypes.c_uint(len(name)))
            rates = (ctypes.c_uint * 2)()  # gpu, memory
            memory = (ctypes.c_ulonglong * 3)()  # total, free, used
            number = ctypes.c_uint()
            busy = _succeeds(lib.nvmlDeviceGetUtilizationRates, device, ctypes.byref(rates))
            has_memory = _succeeds(lib.nvmlDeviceGetMemoryInfo, device, ctypes.byref(memory))
            warm = (
                float(number.value) if _succeeds(lib.nvmlDeviceGetTemperature, device, ctypes.c_uint(_CORE), ctypes.byref(number)) else None
            )
            drawn = number.value / 1000 if _succeeds(lib.nvmlDeviceGetPowerUsage, device, ctypes.byref(number)) else None
            found.append(
                Gpu(
                    f"{plain(name.value, 96)} #{index}",
                    float(rates[0]) if busy else None,
                    float(memory[2]) if has_memory else None,
                    float(memory[0]) if has_memory else None,
                    warm,
                    drawn,
                )
            )
        return found

    def close(self) -> None:
        """Shut the library down."""
        lib: Optional[Any] = self._lib
        if lib is not None:
            lib.nvmlShutdown()
            self._lib = None


def _call(function: Callable[..., int], *arguments: Any) -> None:
    """Raises: OSError: the call failed."""
    code = function(*arguments)
    if code != _SUCCESS:
        raise OSError(f"NVML error {code}")


def _succeeds(function: Callable[..., int], *arguments: Any) -> bool:
    return function(*arguments) == _SUCCESS
