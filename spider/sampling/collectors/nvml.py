"""GPU metrics from NVIDIA's management library, through ctypes. NVIDIA's driver provides them in no other way."""

import logging
import math
from typing import Any, Callable, List, Optional

from spider.logs import event
from spider.sampling.collectors.gpu_values import Gpu
from spider.wire.text import plain

LIBRARY = "libnvidia-ml.so.1"
MAX_GPUS = 64
"""Most GPUs that are queried."""
RETRY_S = 300.0
"""Pause after an error of the library."""
_SUCCESS = 0
_CORE = 0
"""NVML_TEMPERATURE_GPU."""

log = logging.getLogger(__name__)


class _NvmlError(Exception):
    """A call returned an error code, for instance during a reset of a GPU or an update of the driver."""


class Nvml:
    """The library, loaded and initialised at the first reading. If it cannot be loaded, it is not tried again. If a call fails, the library
    is shut down and tried again after `RETRY_S`.

    Source: NVML API Reference: nvmlInit_v2, nvmlDeviceGetCount_v2, nvmlDeviceGetHandleByIndex_v2, nvmlDeviceGetName,
    nvmlDeviceGetUtilizationRates, nvmlDeviceGetMemoryInfo, nvmlDeviceGetTemperature (°C), nvmlDeviceGetPowerUsage (mW).
    """

    def __init__(self, library: str = LIBRARY) -> None:
        self._library = library
        self._lib: Any = None
        self._off = False
        self._again_at = -math.inf
        self._noted = ""
        """The last error in the log."""

    def read(self, now: float) -> List[Gpu]:
        """Query each GPU. Empty: there is no GPU, the query failed, or queries are paused after a failure.

        Args: now: monotonic seconds.
        """
        if self._off or now < self._again_at:
            return []
        try:
            found = self._read()
        except _NvmlError as error:
            self._note("nvml_failed", str(error))
            self.close()
            self._again_at = now + RETRY_S
            return []
        except (ImportError, OSError, AttributeError) as error:  # no library, another one, or no executable memory
            self._note("nvml_off", f"{type(error).__name__}: {error}")
            self._off = True
            return []
        self._noted = ""
        return found

    def _note(self, name: str, why: str) -> None:
        if why != self._noted:
            event(log, name, logging.WARNING, why=why)
        self._noted = why

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
            if lib.nvmlDeviceGetName(device, name, ctypes.c_uint(len(name))) != _SUCCESS:
                continue  # without a name there are no names for its series
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
    """Raises: _NvmlError."""
    code = function(*arguments)
    if code != _SUCCESS:
        raise _NvmlError(f"NVML error {code}")


def _succeeds(function: Callable[..., int], *arguments: Any) -> bool:
    return function(*arguments) == _SUCCESS
