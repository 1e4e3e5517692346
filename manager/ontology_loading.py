"""Keeps the ontology in the store: loads it at the start, and again after the store was away."""

from __future__ import annotations

import asyncio
import logging

from .errors import StoreError
from .ontology_files import ontology_triples
from .store import Store

log = logging.getLogger("manager.ontology")

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0


class OntologyLoading:
    """The task that loads the ontology.

    Attributes:
        loaded: whether the store has had it since it was last away.
        reason: why it could not be loaded the last time it was tried.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wanted = asyncio.Event()
        self._wanted.set()
        self.loaded = False
        self.reason: str | None = None

    def store_was_away(self) -> None:
        """The store may come back as another one: it gets the ontology again."""
        self.loaded = False
        self._wanted.set()

    async def run(self) -> None:
        """Loads it whenever that is wanted, for as long as it takes; ends when cancelled."""
        triples = await asyncio.to_thread(ontology_triples)
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            pause = FIRST_PAUSE
            while not self.loaded:
                try:
                    await self._store.load(triples)
                except StoreError as error:
                    self.reason = str(error)
                    log.warning("the ontology waits for the store: %s", error)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE)
                else:
                    self.loaded, self.reason = True, None
                    log.info("the ontology is in the store (%d triples)", triples.count)
