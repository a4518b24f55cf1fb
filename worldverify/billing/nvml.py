"""Energy counters of NVIDIA GPUs, through the library that comes with their driver."""

import ctypes
from typing import Any

LIBRARY = "libnvidia-ml.so.1"


class Nvml:
    """The GPUs that the driver shows. Without a driver nothing is loaded but the attempt."""

    def __init__(self, library: Any = None) -> None:
        """`library`: instead of the driver's."""
        self._handles: list[ctypes.c_void_p] = []
        self.reason: str | None = None  # why there is nothing to read, in a few words
        try:
            self._library = ctypes.CDLL(LIBRARY) if library is None else library
        except OSError:
            self.reason = "there is no NVML library"
            return
        count = ctypes.c_uint()
        if self._library.nvmlInit_v2() or self._library.nvmlDeviceGetCount_v2(ctypes.byref(count)):
            self.reason = "NVML finds no GPU"
            return
        for index in range(count.value):
            handle = ctypes.c_void_p()
            if self._library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)) == 0:
                self._handles.append(handle)
        if self.read() is None:
            self.reason = "the GPU has no energy counter"

    def read(self) -> float | None:
        """J that all GPUs have taken so far, or None where one does not say."""
        if not self._handles:
            return None
        total = 0
        for handle in self._handles:
            millijoules = ctypes.c_ulonglong()
            if self._library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules)):
                return None
            total += millijoules.value
        return total * 1e-3
