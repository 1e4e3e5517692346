"""Flowcept. A task is a decorated function, or a ``FlowceptTask`` where that is said to be leaner; a point is a ``FlowceptTask``.

Options: ``offline`` (its defaults: kept in memory, dumped to a file of JSON lines at the end), ``offline-task`` (the same by
``FlowceptTask``, values not checked for what JSON cannot say), ``online`` (Redis and LMDB, buffer and interval of its sample
settings), ``online-lean`` (the same by ``FlowceptTask`` with a buffer of ten thousand).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from workload import marks_in

IMPORTS = "flowcept.instrumentation.flowcept_task"
SETTINGS = """
project: {{json_serializer: default, replace_non_json_serializable: {check}, enrich_messages: false, db_flush_mode: {flush},
  dump_buffer: {{enabled: {dump}, path: {folder}/buffer.jsonl}}}}
log: {{log_file_level: disable, log_stream_level: disable}}
mq: {{enabled: {online}, type: redis, host: {host}, port: {port}, buffer_size: {buffer}, insertion_buffer_time_secs: 5}}
kv_db: {{enabled: {online}, host: {host}, port: {port}}}
databases: {{lmdb: {{enabled: {online}, path: {folder}/lmdb}}, mongodb: {{enabled: false}}}}
db_buffer: {{insertion_buffer_time_secs: 5, buffer_size: {buffer}}}
"""


def prepare(option: str, folder: str, server: str) -> None:
    online, lean = option.startswith("online"), option in ("offline-task", "online-lean")
    place = urlsplit(server)
    file = os.path.join(folder, "settings.yaml")
    text = SETTINGS.format(
        check=str(not lean).lower(),
        flush="online" if online else "offline",
        dump=str(not online).lower(),
        folder=folder,
        online=str(online).lower(),
        host=place.hostname or "127.0.0.1",
        port=place.port or 1,
        buffer=10_000 if lean else 50,
    )
    with open(file, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.environ["FLOWCEPT_SETTINGS_PATH"] = file
    os.chdir(folder)


class Client:
    def __init__(self, option: str, folder: str, server: str) -> None:
        from flowcept import Flowcept, FlowceptTask, flowcept_task

        online = option.startswith("online")
        self._flowcept = Flowcept(workflow_name="bench", start_persistence=online, check_safe_stops=online).start()
        self._task = FlowceptTask

        self._functions: dict[tuple[str, ...], Any] = {}
        self._decorate = flowcept_task
        if option in ("offline-task", "online-lean"):
            self.task = self._leaner  # type: ignore[method-assign]

    def task(self, used: dict[str, Any], work: Callable[[], dict[str, Any]]) -> None:
        names = tuple(used)
        function = self._functions.get(names)
        if function is None:
            function = self._functions[names] = self._decorate(_function(names, self))
        self._work = work
        function(**used)

    def run(self) -> dict[str, Any]:
        """The body of the task that is being captured."""
        return self._work()

    def _leaner(self, used: dict[str, Any], work: Callable[[], dict[str, Any]]) -> None:
        with self._task(activity_id="step", used=used) as task:
            task.end(work())

    def metric(self, name: str, value: float, step: int) -> None:
        self._task(activity_id="log", used={"step": step}, generated={name: value})

    def end(self) -> None:
        self._flowcept.stop()


def _function(names: tuple[str, ...], client: Client) -> Callable[..., dict[str, Any]]:
    """A function whose parameters have these names, as a script's own would."""
    space: dict[str, Any] = {"client": client}
    exec(f"def step({', '.join(names)}):\n    return client.run()", space)  # noqa: S102 - names of our own
    made: Callable[..., dict[str, Any]] = space["step"]
    return made


def kept(option: str, folder: str) -> int:
    if not option.startswith("online"):
        return marks_in(folder)
    import lmdb

    path = os.path.join(folder, "lmdb")
    if not os.path.exists(path):
        return 0
    with lmdb.open(path, readonly=True, max_dbs=5, lock=False) as store, store.begin() as reading:
        tasks = store.open_db(b"tasks", reading, create=False)
        return sum(b'"mark"' in value for _, value in reading.cursor(tasks))
