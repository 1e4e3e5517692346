"""Settings: where they come from, what wins, and what a wrong one is told."""

from __future__ import annotations

import json

import pytest

from pllib import settings
from pllib.errors import ConfigurationError


def test_arguments_win_over_environment_over_file(tmp_path):
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"url": "http://file:1", "person": "file", "timeout": 3}))
    environ = {"PLLIB_CONFIG": str(path), "PLLIB_URL": "http://env:1", "PLLIB_PERSON": "env", "PLLIB_STRICT": "yes"}
    found = settings.load({"url": "http://argument:1"}, environ)
    assert (found.url, found.person, found.timeout, found.strict) == ("http://argument:1", "env", 3.0, True)


@pytest.mark.parametrize(
    ("arguments", "environ", "words"),
    [
        ({"colour": 1}, {}, "no setting is called 'colour'"),
        ({"mode": "fast"}, {}, "memory, process, node, disk"),
        ({}, {"PLLIB_TIMEOUT": "soon"}, "timeout .environment. is 'soon'; it takes a number"),
        ({"interval": -1}, {}, "above 0"),
        ({}, {"PLLIB_STRICT": "perhaps"}, "yes or no"),
        ({"url": "node7:8470"}, {}, "http://127.0.0.1:8470"),
        ({}, {"PLLIB_CONFIG": "/no/such"}, "does not exist"),
    ],
)
def test_wrong_settings_are_told_what_is_possible(arguments, environ, words):
    with pytest.raises(ConfigurationError, match=words):
        settings.load(arguments, environ)


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "p.json"
    path.write_text("[]")
    with pytest.raises(ConfigurationError, match="one JSON object"):
        settings.load({}, {"PLLIB_CONFIG": str(path)})
    path.write_text("{")
    with pytest.raises(ConfigurationError, match=str(path)):
        settings.load({}, {"PLLIB_CONFIG": str(path)})
