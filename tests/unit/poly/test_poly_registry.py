"""The file of data stores: what it may say, and what is told of one that cannot be used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge.errors import SettingsError
from query_engine.poly.registry import Files, Postgresql, Registry, Sqlite, load

pytest.importorskip("duckdb")

GOOD = """
memory_mb = 512
[stores.scratch]
kind = "files"
root = "."
folders = ["sets"]
[stores.lab-db]
kind = "sqlite"
file = "lab.db"
tables = ["runs"]
[stores.results]
kind = "postgresql"
host = "db.lab"
database = "results"
user = "reader"
password_env = "LAB_PASSWORD"
tables = ["*", "stats.m"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "lab.db").touch()
    (tmp_path / "password").write_text("from file\n")
    monkeypatch.setenv("LAB_PASSWORD", "geheim")
    return tmp_path


def _load(folder: Path, text: str) -> Registry:
    path = folder / "stores.toml"
    path.write_text(text)
    return load(path)


def test_paths_are_relative_to_the_file_and_passwords_come_from_elsewhere(folder):
    found = _load(folder, GOOD)
    assert found.memory_mb == 512
    scratch, lab, results = (found.stores[name] for name in ("scratch", "lab-db", "results"))
    assert isinstance(scratch, Files)
    assert isinstance(lab, Sqlite)
    assert isinstance(results, Postgresql)
    assert (scratch.root, lab.file) == (folder, folder / "lab.db")
    assert results.job()["password"] == "geheim"
    by_file = GOOD.replace('password_env = "LAB_PASSWORD"', 'password_file = "password"')
    assert _load(folder, by_file).stores["results"].job()["password"] == "from file"


def test_neither_password_nor_path_is_told(folder):
    found = _load(folder, GOOD)
    told = repr(found) + repr([store.told() for store in found.stores.values()])
    assert "geheim" not in told
    assert str(folder) not in repr([store.told() for store in found.stores.values()])
    assert found.stores["results"].told() == {"kind": "postgresql", "tables": ["*", "stats.m"]}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('kind = "files"', 'kind = "ftp"', "stores.scratch"),
        ('root = "."', 'root = "nowhere"', "stores.scratch.root: there is no folder"),
        ('root = "."\nfolders = ["sets"]', 'root = "/"', "stores.scratch.root: / would give away every file"),
        ('root = "."', 'rot = "."', "stores.scratch.root: Field required"),
        ('folders = ["sets"]', 'folders = ["../x"]', "stores.scratch.folders: '../x' is no path below the root"),
        ('folders = ["sets"]', 'folders = ["/etc"]', "stores.scratch.folders: '/etc' is no path below the root"),
        ('file = "lab.db"', 'file = "lob.db"', "stores.lab-db.file: there is no file"),
        ('tables = ["runs"]', "tables = []", "stores.lab-db.tables"),
        ('tables = ["runs"]', "", "stores.lab-db.tables: Field required"),
        (
            'password_env = "LAB_PASSWORD"',
            'password = "geheim"',
            "stores.results: a password has no place in this file",
        ),
        (
            'password_env = "LAB_PASSWORD"',
            'password_env = "NO_SUCH"',
            "stores.results.password_env: the environment has no",
        ),
        (
            'password_env = "LAB_PASSWORD"',
            'password_file = "none"',
            "stores.results.password_file: none cannot be read",
        ),
        ('user = "reader"', 'user = "reader"\npassword_file = "password"', "give one of them"),
        ('host = "db.lab"', "port = 99999", "stores.results.port"),
        ('host = "db.lab"', 'sslrootcert = "none.pem"', "stores.results.sslrootcert: there is no file"),
        ("memory_mb = 512", "memory_mb = 1", "memory_mb"),
        ("memory_mb = 512", "memory = 1", "memory: Extra inputs"),
        ("memory_mb = 512", "memory_mb = ", "no TOML"),
    ],
)
def test_a_bad_entry_is_named(folder, old, new, says):
    assert old in GOOD
    with pytest.raises(SettingsError) as caught:
        _load(folder, GOOD.replace(old, new))
    assert says in str(caught.value)
    assert "stores.toml" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_the_service_does_not_start_with_a_bad_file(folder):
    (folder / "stores.toml").write_text(GOOD.replace('root = "."', 'root = "nowhere"'))
    for file, says in (("stores.toml", "stores.scratch.root"), ("none.toml", "cannot be read")):
        command = [sys.executable, "-m", "query_engine", "--stores", str(folder / file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2
        assert says in done.stderr
        assert "Traceback" not in done.stderr


def test_a_root_of_the_whole_machine_needs_folders(folder):
    found = _load(folder, '[stores.node1]\nkind = "files"\nroot = "/"\nfolders = ["data"]\n')
    assert found.stores["node1"].job() == {"kind": "files", "root": "/", "folders": ["data"]}
