"""Which share of the time is hashed: the limit that was asked for, less on battery. Knows how to ask each system."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from time import monotonic

_POWER = Path("/sys/class/power_supply")
"""Linux: a folder for each power supply, Documentation/ABI/testing/sysfs-class-power."""
_PMSET = Path("/usr/bin/pmset")
"""macOS: its command for power management."""
_LOOK_SECONDS = 10.0
"""Seconds for which an answer about the battery is taken for true."""
_ON_BATTERY = {"full": 1.0, "half": 0.5, "stop": 0.0}


class Pacer:
    """Computes the share from the options of a worker and the power supply."""

    def __init__(self, limit: float, on_battery: str, look: Callable[[], bool] | None = None) -> None:
        self._limit = limit
        self._on_battery = _ON_BATTERY[on_battery]
        self._look = look or runs_on_battery
        self._until = -1.0
        self._battery = False

    def share(self) -> float:
        """The share of the time that is to be hashed now, 0 to 1; at 0 jobs alone are mined."""
        if self._on_battery < 1 and monotonic() > self._until:
            self._battery = self._look()
            self._until = monotonic() + _LOOK_SECONDS
        return self._limit * (self._on_battery if self._battery else 1.0)


def runs_on_battery(power: Path = _POWER) -> bool:
    """Whether this machine drains a battery of its own now; False where the system does not tell."""
    try:
        return _of_linux(power) if power.is_dir() else _of_macos()
    except (OSError, subprocess.SubprocessError):
        return False


def _of_linux(power: Path) -> bool:
    drains = False
    for supply in power.iterdir():
        kind = _word(supply / "type")
        if kind in ("Mains", "USB") and _word(supply / "online") == "1":
            return False
        # A mouse has a battery too: its scope is Device.
        if kind == "Battery" and _word(supply / "scope") != "Device" and _word(supply / "status") == "Discharging":
            drains = True
    return drains


def _word(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeError):
        return ""


def _of_macos() -> bool:
    if not _PMSET.exists():
        return False
    told = subprocess.run([_PMSET, "-g", "batt"], capture_output=True, text=True, timeout=2, check=False)
    return "'Battery Power'" in told.stdout
