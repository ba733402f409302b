"""Times that rise, whatever the source says: of streams that are stuck together, and of containers that guess."""

from __future__ import annotations

from fractions import Fraction


class RisingTimes:
    """Places what comes one after the other in time.

    Args:
        time_base: seconds of one unit.
    """

    LEAP_S = 1
    """A step back of more than that is a new beginning, behind which time goes on as it was; a smaller one a mistake
    of this one time."""

    def __init__(self, time_base: Fraction) -> None:
        self._leap = round(self.LEAP_S / time_base)
        self._shift = 0
        self._last: int | None = None

    def place(self, time: int | None, *, step: int) -> int:
        """A time above that of the last one.

        Args:
            time: in units, as the source says; None where it does not.
            step: how far it is from the last one where that is not known.
        """
        if self._last is None:
            self._last = time or 0
            return self._last
        behind = self._last + max(step, 1)
        placed = behind if time is None else time + self._shift
        if placed < self._last - self._leap:
            self._shift += behind - placed
            placed = behind
        self._last = max(placed, self._last + 1)
        return self._last
