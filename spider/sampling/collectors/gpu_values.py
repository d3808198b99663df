"""What is measured of one GPU, whoever made it."""

from typing import NamedTuple, Optional


class Gpu(NamedTuple):
    """The values of one GPU. None: its driver does not provide the value."""

    name: str
    busy: Optional[float] = None
    """Percent of the time."""
    memory_used: Optional[float] = None
    memory_total: Optional[float] = None
    """Bytes."""
    temperature: Optional[float] = None
    """Degrees Celsius."""
    power: Optional[float] = None
    """Watts."""
