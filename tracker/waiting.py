"""Waits for the queue's server before the tracker starts, so that the two may be started in any order."""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Callable

from redis import Redis
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import TimeoutError as NoAnswer

from .redis_server import ANSWER_SECONDS, CONNECT_SECONDS
from .redis_url import shown

log = logging.getLogger("tracker.redis")

PAUSE = 0.5


def wait_for_server(url: str, sleep: Callable[[float], None] = time.sleep) -> None:
    """Returns when the server answers, with whatever: to judge its answers is for who uses it. SIGTERM ends the process.

    Args:
        url: see ``redis_url.check_url``.
        sleep: seconds.
    """
    # Of the first process of a container the kernel keeps every signal away that it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    client = Redis.from_url(url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=CONNECT_SECONDS)
    told = ""
    with client:
        while reason := _reason_to_wait(client):
            if reason != told:
                log.warning("waiting for the queue's server %s: %s", shown(url), reason)
                told = reason
            sleep(PAUSE)


def _reason_to_wait(client: Redis) -> str:
    """Why the server cannot be used yet; empty when it answers."""
    try:
        client.ping()
    except AuthenticationError:
        return ""
    except (ConnectionLost, NoAnswer) as error:
        return str(error) or type(error).__name__
    except RedisError:
        return ""
    return ""
