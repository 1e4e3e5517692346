"""The tracker as an ASGI application (docs/reference/tracker.md)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from edge.errors import StartError
from edge.listening import LOOPBACK_HOSTS
from edge.tokens import RequireToken

from .admin_routes import router as admin_router
from .answers import add_error_answers
from .catalogue import Catalogue
from .dispatch import AT_A_TIME, Dispatcher
from .draining import Gate
from .errors import QueueError
from .intake import Intake
from .manager_addresses import SpreadTransport
from .metrics import Metrics
from .names import Specifications
from .openlineage.intake import OpenLineageIntake
from .openlineage.routes import OpenLineageParts
from .openlineage.routes import router as openlineage_router
from .parts import Parts
from .producers import Producers
from .prov_routes import router as prov_router
from .provlake.intake import ProvLakeIntake
from .provlake.routes import ProvLakeParts
from .provlake.routes import router as provlake_router
from .queue import WorkQueue
from .routes import router
from .settings import Settings
from .specification_store import SpecificationStore
from .storage import open_storage
from .store_routes import router as store_router

log = logging.getLogger("tracker")

STOP_SECONDS = 10.0
"""Time that posts in flight have to end when the tracker stops."""


def create_app(settings: Settings) -> FastAPI:
    """The application; it opens its queue when it is started and closes it when it is stopped.

    Raises, when started:
        StartError: the data folder, or the server of the queue, cannot be used.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            storage = await open_storage(settings)
        except QueueError as error:
            raise StartError(str(error)) from error
        queue = storage.queue
        metrics = Metrics()
        in_force = Specifications()
        producers = Producers()
        intake = Intake(queue, in_force, metrics, producers)
        store = SpecificationStore(storage.specifications, queue, in_force)
        storage.watch(intake.forget_what_is_known, store.load)
        await store.load()
        catalogue = Catalogue(storage.catalogue, queue)
        app.state.parts = parts = Parts(settings, queue, intake, store, catalogue, metrics, producers, Gate())
        app.state.reading = asyncio.Semaphore(1)  # PROV documents are read in memory: one at a time
        app.state.provlake = ProvLakeParts(parts, ProvLakeIntake(intake, in_force))
        app.state.openlineage = OpenLineageParts(parts, OpenLineageIntake(queue, metrics))
        async with _client(settings) as client, _dispatching(settings, queue, client, metrics, intake):
            yield
        await queue.close()

    app = FastAPI(
        title="PLLib tracker",
        version="1",
        description="Takes capture records, keeps them in a durable queue and hands them on as PROV-ML JSON.",
        lifespan=lifespan,
    )
    app.include_router(router)
    app.include_router(admin_router)
    app.include_router(store_router)
    app.include_router(openlineage_router)
    app.include_router(prov_router)
    app.include_router(provlake_router)
    add_error_answers(app)
    if settings.token:
        app.add_middleware(RequireToken, token=settings.token)
    app.add_middleware(
        TrustedHostMiddleware,
        allowed_hosts=[*LOOPBACK_HOSTS, settings.host, *settings.allowed_hosts],
        www_redirect=False,
    )
    return app


def _client(settings: Settings) -> httpx.AsyncClient:
    # Posts beyond this number wait for their turn, so that what the manager holds at a time is bounded.
    posts = max(settings.partitions, AT_A_TIME)
    limits = httpx.Limits(max_connections=posts, max_keepalive_connections=posts)
    return httpx.AsyncClient(
        base_url=settings.manager_url,
        timeout=httpx.Timeout(settings.post_timeout, connect=5.0, pool=None),
        transport=SpreadTransport(httpx.AsyncHTTPTransport(limits=limits, trust_env=False)),
        trust_env=False,
    )


@asynccontextmanager
async def _dispatching(
    settings: Settings, queue: WorkQueue, client: httpx.AsyncClient, metrics: Metrics, intake: Intake
) -> AsyncIterator[None]:
    group = (settings.group_entries, settings.group_bytes)
    dispatchers = [
        Dispatcher(queue, partition, client, group, metrics, intake.forget_what_is_known)
        for partition in range(queue.partitions)
    ]
    tasks = [asyncio.create_task(dispatcher.run()) for dispatcher in dispatchers]
    for task in tasks:
        task.add_done_callback(_tell_of_failure)
    try:
        yield
    finally:
        for dispatcher in dispatchers:
            dispatcher.stop()
        _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _tell_of_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.critical("a dispatcher ended, its partition waits for a restart", exc_info=task.exception())
