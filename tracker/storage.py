"""What keeps the queue and the specifications: a file of this tracker, or a server that several trackers share."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from . import catalogue_sqlite, queue_sqlite, specification_store_sqlite
from .catalogue import Catalogue, CatalogueRecords
from .database import Database
from .errors import QueueUnavailable
from .queue import Exported, WorkQueue
from .settings import Settings
from .specification_store import SpecificationRecords

log = logging.getLogger("tracker")

FILE = "tracker.sqlite"
SET_ASIDE = "tracker-before-server.sqlite"
PIECE_BYTES = 4_000_000


class Storage(NamedTuple):
    """An open queue and the specifications beside it.

    Args:
        queue: to be closed; with it, all is.
        specifications: versions of them.
        catalogue: descriptions of data stores.
        watch: says whom to tell of what other trackers did: what to call when something that the queue held may never be
            delivered, and what when there are other specifications.
    """

    queue: WorkQueue
    specifications: SpecificationRecords
    catalogue: CatalogueRecords
    watch: Callable[[Callable[[], None], Callable[[], Awaitable[None]]], None]


async def open_storage(settings: Settings) -> Storage:
    """The storage that the settings name.

    Raises:
        QueueUnavailable: it cannot be used.
        QueueInUse: others use it in a way that does not go together with the settings.
    """
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise QueueUnavailable(f"the folder {settings.data} cannot be made ({error.strerror})") from error
    return await (_on_server(settings) if settings.queue else _in_file(settings))


async def _in_file(settings: Settings) -> Storage:
    schema = queue_sqlite.SCHEMA + specification_store_sqlite.SCHEMA + catalogue_sqlite.SCHEMA
    database = Database(settings.data / FILE, schema)
    queue = await queue_sqlite.open_queue(database, settings.partitions, settings.keep_delivered)
    return Storage(
        queue,
        specification_store_sqlite.SqliteSpecifications(database),
        catalogue_sqlite.SqliteCatalogue(database),
        lambda forget, specified: None,
    )


async def _on_server(settings: Settings) -> Storage:
    from . import catalogue_redis, queue_redis, redis_server, specification_store_redis

    server = redis_server.RedisServer(settings.queue)
    name = settings.name or _kept_name(settings.data / "name")
    queue = await queue_redis.open_queue(
        server,
        name,
        settings.partitions,
        settings.keep_delivered,
        idle=queue_redis.IDLE_POSTS * settings.post_timeout,
        safe=not settings.queue_unsafe,
    )
    log.info("the queue is on %s, where this tracker is called %s", server, name)
    storage = Storage(
        queue,
        specification_store_redis.RedisSpecifications(server),
        catalogue_redis.RedisCatalogue(server),
        queue.keeper.watch,
    )
    if (settings.data / FILE).exists():
        try:
            await _move_in(settings, storage)
        except BaseException:
            await queue.close()
            raise
    return storage


async def _move_in(settings: Settings, storage: Storage) -> None:
    """Takes in what this tracker kept in its file before a server was chosen, and sets the file aside."""
    before = await _in_file(settings)
    moved = size = 0
    try:
        await storage.specifications.add(await before.specifications.all())
        stores = await Catalogue(before.catalogue, before.queue).every()
        await Catalogue(storage.catalogue, storage.queue).take_in(stores)
        piece: list[Exported] = []
        async for item in before.queue.export():
            piece.append(item)
            moved += 1
            size += len(item.body)
            if size > PIECE_BYTES:
                await storage.queue.take_in(piece)
                piece, size = [], 0
        await storage.queue.take_in(piece)
    finally:
        await before.queue.close()
    os.replace(settings.data / FILE, settings.data / SET_ASIDE)
    log.info("%d things that %s held are in the queue on the server now; the file is %s", moved, FILE, SET_ASIDE)


def _kept_name(path: Path) -> str:
    """The name in a file, or a new one, which is kept there."""
    try:
        if path.exists():
            return path.read_text(encoding="utf-8").strip()
        name = f"{socket.gethostname()[:60] or 'tracker'}-{secrets.token_hex(4)}"
        begun = path.with_suffix(".new")
        begun.write_text(name + "\n", encoding="utf-8")
        os.replace(begun, path)
    except (OSError, UnicodeDecodeError) as error:
        raise QueueUnavailable(f"{path} cannot be used ({error}): give the tracker a --name") from error
    return name
