"""The data stores that an administrator registered: the only places that data is ever read from.

A TOML file, a table a store, by the name that provenance has for it (``store/{name}``)::

    memory_mb = 1024                      # of one query; this is the default

    [stores.scratch]
    kind = "files"
    root = "/scratch/project"
    folders = ["sets", "results"]         # all of it when left out

    [stores.lab-db]
    kind = "sqlite"
    file = "lab.db"                       # relative to this file
    tables = ["runs", "samples"]

    [stores.results]
    kind = "postgresql"
    host = "db.lab"                       # or the folder of a socket
    database = "results"
    user = "reader"
    password_env = "RESULTS_PASSWORD"     # or password_file
    tables = ["runs", "stats.*"]          # of the schema public, or with their schema
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union

import tomllib
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from edge.errors import SettingsError

_NEEDED = {
    "files": "duckdb",
    "sqlite": "duckdb_extension_sqlite_scanner",
    "postgresql": "duckdb_extension_postgres_scanner",
}
_FORM = "docs/how-to/query-the-data-itself.md shows the form"
Tables = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


class _Store(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def located(self, folder: Path) -> dict[str, Any]:
        """Fields to replace: paths made absolute, secrets fetched. Raises ``ValueError`` saying what is wrong."""
        raise NotImplementedError

    def job(self) -> dict[str, Any]:
        """What the reading process has to know of the store."""
        raise NotImplementedError

    def told(self) -> dict[str, Any]:
        """What clients are told of the store."""
        raise NotImplementedError


class Files(_Store):
    """A folder, with all below it or some sub-folders."""

    kind: Literal["files"]
    root: Path
    folders: tuple[str, ...] = ()

    def located(self, folder: Path) -> dict[str, Any]:
        root = (folder / self.root).absolute()
        if not root.is_dir():
            raise ValueError(f"root: there is no folder {root}")
        if root == Path(root.anchor) and not self.folders:
            raise ValueError("root: / would give away every file of this machine; name a folder, or list `folders`")
        for name in self.folders:
            parts = Path(name).parts
            if not parts or os.pardir in parts or Path(name).is_absolute():
                raise ValueError(f"folders: {name!r} is no path below the root")
        return {"root": root}

    def job(self) -> dict[str, Any]:
        return {"kind": self.kind, "root": str(self.root), "folders": list(self.folders)}

    def told(self) -> dict[str, Any]:
        return {"kind": self.kind, "folders": list(self.folders)}


class Sqlite(_Store):
    """A SQLite database."""

    kind: Literal["sqlite"]
    file: Path
    tables: Tables

    def located(self, folder: Path) -> dict[str, Any]:
        file = (folder / self.file).absolute()
        if not file.is_file():
            raise ValueError(f"file: there is no file {file}")
        return {"file": file}

    def job(self) -> dict[str, Any]:
        return {"kind": self.kind, "file": str(self.file), "tables": list(self.tables)}

    def told(self) -> dict[str, Any]:
        return {"kind": self.kind, "tables": list(self.tables)}


class Postgresql(_Store):
    """A PostgreSQL database, by a role that should have no right but to read."""

    kind: Literal["postgresql"]
    host: str = Field("127.0.0.1", min_length=1)
    port: int = Field(5432, ge=1, le=65535)
    database: str = Field(min_length=1)
    user: str = Field(min_length=1)
    password_env: Optional[str] = None
    password_file: Optional[Path] = None
    sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    sslrootcert: Optional[Path] = None
    tables: Tables
    secret: SecretStr = Field(SecretStr(""), exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _no_password_here(cls, content: Any) -> Any:
        if isinstance(content, dict) and ("password" in content or "secret" in content):
            raise ValueError("a password has no place in this file: use `password_env` or `password_file`")
        return content

    def located(self, folder: Path) -> dict[str, Any]:
        certificate = None if self.sslrootcert is None else (folder / self.sslrootcert).absolute()
        if certificate is not None and not certificate.is_file():
            raise ValueError(f"sslrootcert: there is no file {certificate}")
        return {"sslrootcert": certificate, "secret": SecretStr(self._password(folder))}

    def _password(self, folder: Path) -> str:
        if self.password_env is not None and self.password_file is not None:
            raise ValueError("password_env, password_file: give one of them")
        if self.password_env is not None:
            if self.password_env not in os.environ:
                raise ValueError(f"password_env: the environment has no variable {self.password_env}")
            return os.environ[self.password_env]
        if self.password_file is None:
            return ""
        try:
            return (folder / self.password_file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"password_file: {self.password_file} cannot be read: {type(error).__name__}") from error

    def job(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "host": self.host,
            "port": self.port,
            "database": self.database,
            "user": self.user,
            "password": self.secret.get_secret_value(),
            "sslmode": self.sslmode,
            "sslrootcert": None if self.sslrootcert is None else str(self.sslrootcert),
            "tables": list(self.tables),
        }

    def told(self) -> dict[str, Any]:
        return {"kind": self.kind, "tables": list(self.tables)}


Store = Annotated[Union[Files, Sqlite, Postgresql], Field(discriminator="kind")]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    memory_mb: int = Field(1024, ge=64, le=1_000_000)
    stores: dict[Annotated[str, Field(min_length=1)], Store] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Registry:
    """The registered stores by name.

    Attributes:
        memory_mb: megabytes that one query may take.
    """

    stores: Mapping[str, Union[Files, Sqlite, Postgresql]] = field(default_factory=dict)
    memory_mb: int = 1024


def load(path: Path) -> Registry:
    """The stores of a file.

    Raises:
        SettingsError: the file cannot be used; the message names the entry and what to do.
    """
    try:
        content = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--stores {path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"--stores {path}: no TOML: {error}") from error
    except ValidationError as error:
        raise SettingsError(f"--stores {path}: {_first(error)}; {_FORM}") from None  # its input may hold a password
    stores = {name: _located(path, name, store) for name, store in content.stores.items()}
    return Registry(stores, content.memory_mb)


def _located(path: Path, name: str, store: Union[Files, Sqlite, Postgresql]) -> Union[Files, Sqlite, Postgresql]:
    package = _NEEDED[store.kind]
    if importlib.util.find_spec("duckdb") is None or importlib.util.find_spec(package) is None:
        raise SettingsError(
            f"--stores {path}: stores.{name}: {package} is not installed; it comes with the extra `poly`"
        )
    try:
        return store.model_copy(update=store.located(path.absolute().parent))
    except ValueError as error:
        raise SettingsError(f"--stores {path}: stores.{name}.{error}") from error


def _first(error: ValidationError) -> str:
    """Where the first error is, and what it is; without the value."""
    told = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in told["loc"] if part not in ("files", "sqlite", "postgresql"))
    return f"{where}: {told['msg'].removeprefix('Value error, ')}"
