"""A Redis-compatible server: its address, the calls of scripts, and what its errors mean to a queue."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from typing import Any

import hiredis
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as NoAnswer

from .errors import QueueFull, QueueUnavailable
from .redis_url import shown

log = logging.getLogger("tracker.redis")

PREFIX = "pllib:"
"""Every key of the tracker begins with it; nothing else may touch those keys."""
Word = bytes | str | int
CONNECTIONS = 16
ANSWER_SECONDS = 15.0
"""Time that one call may take; a sync of a slow disk is part of it."""
CONNECT_SECONDS = 3.0


class Script:
    """A Lua script, which the server runs as one step."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class RedisServer:
    """Connections to one server, made when they are needed.

    Args:
        url: see ``redis_url.check_url``.
        prefix: what all keys begin with.

    Attributes:
        on_loss: called when a connection was lost or an answer did not come; what the server did then is unknown.
        closed: whether ``close`` was called.
    """

    def __init__(self, url: str, prefix: str = PREFIX) -> None:
        self.prefix = prefix
        self.closed = False
        self.on_loss: Callable[[], None] = lambda: None
        self._shown = shown(url)
        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=ANSWER_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=CONNECT_SECONDS,
            **({} if url.startswith("unix") else {"socket_keepalive": True}),
            # A call whose answer was lost may have been done: whether to send it again is for the caller to say.
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )

    def __str__(self) -> str:
        return self._shown

    async def run(self, script: Script, *arguments: Word) -> Any:
        """What the script returns; it gets the prefix as its key.

        Raises:
            QueueUnavailable: the server did not do it, or its answer was lost.
        """
        try:
            return await self.command("EVALSHA", script.sha, 1, self.prefix, *arguments)
        except _Unknown:
            await self.command("SCRIPT", "LOAD", script.text)
            return await self.command("EVALSHA", script.sha, 1, self.prefix, *arguments)

    async def command(self, *words: Word) -> Any:
        """The server's answer to one command, as it comes.

        Raises:
            QueueUnavailable: as with ``run``.
        """
        if self.closed:
            raise QueueUnavailable("the queue is closed")
        try:
            plain = tuple([word.encode("utf-8", "replace") if isinstance(word, str) else word for word in words])
            return await self._exchange(hiredis.pack_command(plain))  # type: ignore[arg-type]
        except NoScriptError as error:
            raise _Unknown(f"{self}: {error}") from error
        except OutOfMemoryError as error:
            raise QueueFull(f"{self}: {error}") from error
        except ReadOnlyError as error:
            # The name may stand for another server by now.
            await self._pool.disconnect(inuse_connections=False)
            raise QueueUnavailable(f"{self}: {error}") from error
        except (ConnectionLost, NoAnswer, OSError, asyncio.TimeoutError) as error:
            self.on_loss()
            raise QueueUnavailable(f"{self}: {error or type(error).__name__}") from error
        except RedisError as error:
            raise QueueUnavailable(f"{self}: {error}") from error

    async def _exchange(self, request: bytes) -> Any:
        """Sends one command and gives its answer. The client's own way does the same at several times the cost."""
        connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.send_packed_command(request, check_health=False)
            return await connection.read_response()
        finally:
            await self._pool.release(connection)

    async def setting(self, name: str) -> str | None:
        """A setting of the server."""
        answer = await self.command("CONFIG", "GET", name)
        found = [word.decode() for word in answer]
        return dict(zip(found[::2], found[1::2], strict=True)).get(name)

    async def information(self, section: str = "everything") -> dict[str, str]:
        """What INFO says."""
        answer = await self.command("INFO", section)
        lines = (line.partition(":") for line in answer.decode("utf-8", "replace").splitlines() if ":" in line)
        return {name: value.strip() for name, _, value in lines}

    async def close(self) -> None:
        """Closes all connections."""
        if not self.closed:
            self.closed = True
            await self._pool.disconnect()


class _Unknown(QueueUnavailable):
    """The server does not have the script yet, or has lost it."""
