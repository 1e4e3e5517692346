"""Getting Fuseki: what is missing is told with the fix, and nothing else than what was released is run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from deploy import fuseki, maven, stores
from deploy.errors import ServerMissing, TargetInUse

SHA512_OF_NOTHING = hashlib.sha512(b"").hexdigest()
GIVES = 'for word; do case $word in -DoutputDirectory=*) : > "${word#*=}/%s";; esac; done'
"""A Maven that makes an empty file of a name."""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: Any) -> Path:
    """A machine with nothing installed but what a test puts into its folder `bin`."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return tmp_path


def program(machine: Path, name: str, script: str) -> None:
    path = machine / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def refused(*words: str) -> str:
    with pytest.raises(ServerMissing) as missing:
        fuseki.find(print)
    told = f"{missing.value.message}; {missing.value.fix}"
    assert all(word in told for word in words), told
    assert "\n" not in told
    return told


def test_no_java(machine: Path) -> None:
    refused("there is no `java`", "install a Java runtime 17", "--store-url")


def test_an_old_java(machine: Path) -> None:
    program(machine, "java", "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2")
    refused("needs Java 17 or later", "is 11")


def test_a_java_that_does_not_run(machine: Path) -> None:
    program(machine, "java", "exit 1")
    refused("none that runs")


def with_java(machine: Path) -> None:
    program(machine, "java", "echo 'openjdk version \"17.0.15\" 2025-04-15' >&2")


def test_no_maven(machine: Path) -> None:
    with_java(machine)
    refused("there is no `mvn`", "install Maven", "put the file there yourself")


def test_maven_cannot_get_it(machine: Path) -> None:
    with_java(machine)
    program(machine, "mvn", "echo '[ERROR] Unknown host'; exit 1")
    refused("Unknown host", "see that this machine reaches Maven's repository")
    assert not list((machine / "cache" / "pllib").iterdir())


def test_another_file_than_was_released_is_not_run(machine: Path) -> None:
    with_java(machine)
    program(
        machine,
        "mvn",
        'for word; do case $word in -DoutputDirectory=*) echo x > "${word#*=}/jena-fuseki-server-5.3.0.jar";; esac; done',
    )
    refused("its SHA-512 checksum is another", "remove the file")


def test_what_was_released_is_got_once(machine: Path) -> None:
    program(machine, "mvn", GIVES % "thing-1.jar")
    told: list[str] = []
    first = maven.artifact("org.example:thing:1:jar", SHA512_OF_NOTHING, "go on without", told.append)
    program(machine, "mvn", "exit 1")
    assert maven.artifact("org.example:thing:1:jar", SHA512_OF_NOTHING, "go on without", told.append) == first
    assert len(told) == 1


def test_a_folder_goes_on_with_the_store_that_it_has(tmp_path: Path) -> None:
    assert stores.kind_for(tmp_path, None) == "oxigraph"
    assert stores.kind_for(tmp_path, "fuseki") == "fuseki"
    (tmp_path / "fuseki" / "tdb2").mkdir(parents=True)
    assert stores.kind_for(tmp_path, None) == "fuseki"
    with pytest.raises(TargetInUse, match="holds a store of the kind fuseki"):
        stores.kind_for(tmp_path, "oxigraph")


def test_names_of_folders_cannot_break_out_of_the_settings(tmp_path: Path) -> None:
    text = fuseki.configuration({"a": Path('/x/"y\\z')}, 1.5)
    assert 'tdb2:location "/x/\\"y\\\\z"' in text
    assert 'ja:cxtValue "1500"' in text
