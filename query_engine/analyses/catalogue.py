"""The analyses there are: the ones that come with the query engine, and the users' own, a JSON file each."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Optional

import tomllib

from query_engine.analyses.form import Analysis, parse
from query_engine.errors import BadParameter, Conflict, NotFound, QueryEngineError

FOLDERS = tuple(Path(__file__).parent / name for name in ("papers", "stores", "runs"))
MAX_STORED = 1000


@cache
def built_in() -> dict[str, Analysis]:
    """Those that come with the query engine, by name: the papers' questions, then those across stores and workflows, then those of runs."""
    paths = [path for folder in FOLDERS for path in sorted(folder.glob("*.toml"))]
    found = [parse(tomllib.loads(path.read_text(encoding="utf-8"))) for path in paths]
    return {analysis.name: analysis for analysis in found}


class Catalogue:
    """All analyses.

    Args:
        folder: where users' analyses are kept; ``None`` when the query engine has no data folder.
    """

    def __init__(self, folder: Optional[Path]) -> None:
        self._folder = folder / "analyses" if folder is not None else None

    def all(self) -> list[Analysis]:
        """By name, the built-in ones first."""
        return [*built_in().values(), *self._stored().values()]

    def get(self, name: str) -> Analysis:
        """The analysis of a name. Raises ``NotFound``."""
        found = built_in().get(name) or self._stored().get(name)
        if found is None:
            known = ", ".join(analysis.name for analysis in self.all()[:50])
            raise NotFound(f"there is no analysis called {name[:100]!r}", field="name", fix=f"There are: {known}.")
        return found

    def is_stored(self, name: str) -> bool:
        return name in self._stored()

    def store(self, analysis: Analysis) -> bool:
        """Keeps a user's analysis; whether it is new.

        Raises:
            Conflict: the name is one of a built-in analysis, or there are too many.
            BadParameter: there is no folder to keep it in.
        """
        folder = self._own_folder()
        if analysis.name in built_in():
            raise Conflict(
                f"{analysis.name!r} is the name of a built-in analysis", field="name", fix="Choose another name."
            )
        known = self._stored()
        if analysis.name not in known and len(known) >= MAX_STORED:
            raise Conflict(f"there are {MAX_STORED} stored analyses already", fix="Delete one first.")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{analysis.name}.json"
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(analysis.model_dump(mode="json"), indent=1), encoding="utf-8")
        os.replace(draft, path)
        return analysis.name not in known

    def delete(self, name: str) -> None:
        """Takes a user's analysis away. Raises ``NotFound``, or ``Conflict`` for a built-in one."""
        if name in built_in():
            raise Conflict(f"{name!r} is built in", field="name", fix="Only stored analyses can be deleted.")
        if not self.is_stored(name):
            raise NotFound(f"there is no stored analysis called {name[:100]!r}", field="name")
        (self._own_folder() / f"{name}.json").unlink(missing_ok=True)

    def _own_folder(self) -> Path:
        if self._folder is None:
            raise BadParameter(
                "this query engine keeps no analyses: it was started without a data folder",
                fix="Start it with --data DIR.",
            )
        return self._folder

    def _stored(self) -> dict[str, Analysis]:
        if self._folder is None or not self._folder.is_dir():
            return {}
        found = {}
        for path in sorted(self._folder.glob("*.json")):
            try:
                analysis = parse(json.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError, QueryEngineError):
                continue  # a file that somebody else put there, or damaged: the others still answer
            found[analysis.name] = analysis
        return found
