"""OpenTelemetry's SDK. A task is a span with its values as attributes; a point, of which traces have none, a span of one value.

Options: ``simple`` (exported to a file by the console exporter when each span ends), ``batch`` (OTLP over HTTP, all defaults),
``batch-large`` (the same with a queue that loses nothing here, and compressed).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from workload import marks_in

IMPORTS = "opentelemetry.sdk.trace.export"


def prepare(option: str, folder: str, server: str) -> None:
    if option == "batch-large":
        os.environ["OTEL_BSP_MAX_QUEUE_SIZE"] = "200000"
        os.environ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"] = "4096"
        os.environ["OTEL_EXPORTER_OTLP_COMPRESSION"] = "gzip"
    # By default a span keeps 128 attributes and drops the others; here nothing is to be dropped.
    os.environ["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"] = "1000"


class Client:
    def __init__(self, option: str, folder: str, server: str) -> None:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor

        self._provider = TracerProvider()
        if option == "simple":
            self._file = open(os.path.join(folder, "spans.json"), "w", encoding="utf-8")  # noqa: SIM115 - closed by end
            self._provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=self._file)))
        else:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            exporter = OTLPSpanExporter(endpoint=f"{server}/v1/traces")
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._span = self._provider.get_tracer("bench").start_as_current_span

    def task(self, used: dict[str, Any], work: Callable[[], dict[str, Any]]) -> None:
        with self._span("step", attributes={f"used.{name}": value for name, value in used.items()}) as span:
            span.set_attributes({f"generated.{name}": _text(name, value) for name, value in work().items()})

    def metric(self, name: str, value: float, step: int) -> None:
        with self._span("log", attributes={"step": step, name: value}):
            pass

    def end(self) -> None:
        self._provider.shutdown()


def _text(name: str, value: Any) -> Any:
    return str(value) if name == "mark" else value  # a mark must be found as text in what was sent


def kept(option: str, folder: str) -> int:
    return marks_in(folder)
