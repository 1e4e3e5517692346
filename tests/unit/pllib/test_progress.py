"""What is said of something long: a bar on a terminal, a line now and then elsewhere, nothing when it is quick."""

from __future__ import annotations

import io
import re

from pllib.progress import Progress


class Screen(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def said(terminal: bool, seconds: float, step: float = 0.05) -> str:
    """What is written when 10 MB in 10,000 records take so long."""
    screen, now = Screen(terminal), [0.0]
    progress = Progress("pllib ship", 10_000_000, screen, lambda: now[0])
    while now[0] < seconds:
        now[0] += step
        share = min(1.0, now[0] / seconds)
        progress.update(int(10_000 * share), int(10_000_000 * share))
    progress.end()
    return screen.getvalue()


def test_what_is_quick_says_nothing_where_there_is_no_terminal():
    assert said(False, 1.9) == ""


def test_a_line_every_few_seconds_where_there_is_no_terminal():
    lines = said(False, 20.0).splitlines()
    assert len(lines) == 4
    assert lines[0] == "pllib ship: 10%, 1,000 records, 1.0 of 10.0 MB, 500 records/s, about 18 s left"
    assert all("\r" not in line and "\033" not in line for line in lines)


def test_a_bar_on_a_terminal_that_goes_away():
    text = said(True, 2.0)
    frames = text.split("\r\033[K")
    assert len(frames) > 10
    half = next(frame for frame in frames if "about 1 s left" in frame)
    assert re.match(r"\[#+\.+\] \d+%, ", half)
    assert len(half.split()[0]) == 26
    assert text.endswith("\r\033[K")


def test_more_than_was_expected_does_not_break_it():
    screen, now = Screen(True), [0.0]
    progress = Progress("pllib ship", 10, screen, lambda: now[0])
    for size in (0, 20, 50):
        now[0] += 1
        progress.update(size, size)
    assert "100%" in screen.getvalue()
    nothing = Progress("pllib ship", 0, screen, lambda: now[0])
    now[0] += 1
    nothing.update(0, 0)
