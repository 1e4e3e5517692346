"""When a service that ended by itself is started again, and when it is given up: pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Seconds between an end and the next start, doubled each time, and how many ends in a row are too many.

    A service that was usable for `steady_after` seconds has recovered: its next end is the first again.
    """

    first_delay: float = 0.5
    longest_delay: float = 10.0
    steady_after: float = 30.0
    ends_allowed: int = 5

    def ends_in_a_row(self, before: int, ran_for: float) -> int:
        """The count after one more end, of a process that ran for so many seconds."""
        return 1 if ran_for >= self.steady_after else before + 1

    def delay(self, ends: int) -> float | None:
        """Seconds to wait before the next start; None when the service is given up."""
        if ends >= self.ends_allowed:
            return None
        return min(self.first_delay * 2.0 ** (ends - 1), self.longest_delay)
