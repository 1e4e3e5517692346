"""Options of the query engine in the environment, as containers have them."""

from __future__ import annotations

import pytest

from pllib.provml.iris import DEFAULT_BASE
from query_engine import __main__ as command


def test_the_environment_says_what_options_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLLIB_ALLOWED_HOSTS", "prov.example, other")
    monkeypatch.setenv("PLLIB_INSECURE", "1")
    monkeypatch.setenv("PLLIB_BASE", "")
    options = command._parser().parse_args(["--allowed-host", "third"])
    assert options.allowed_host == ["prov.example", "other", "third"]
    assert options.insecure is True
    assert options.base == DEFAULT_BASE


def test_beyond_loopback_only_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PLLIB_INSECURE", raising=False)
    with pytest.raises(SystemExit):
        command.main(["--host", "0.0.0.0"])  # noqa: S104
    assert "--insecure" in capsys.readouterr().err
