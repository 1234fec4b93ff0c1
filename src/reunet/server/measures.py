"""What is counted while the server works, for Prometheus."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reunet.server.service import Service

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Measures:
    """The numbers of one server."""

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "reunet_requests", "Requests answered", ("route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "reunet_request_seconds",
            "From the first byte of a request to the last of its answer",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        for name, says, value in (
            ("reunet_requests_in_hand", "Requests at work or waiting", lambda: service.in_hand),
            ("reunet_jobs_open", "Jobs at work or waiting", lambda: service.jobs.open),
            ("reunet_models", "Runs that are loaded", lambda: len(service.models)),
        ):
            Gauge(name, says, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)


class Measured:
    """Counts and times every answer of an app, by the route that gave it."""

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self._app, self._measures = app, measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def heard(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, heard)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._measures.requests.labels(route, status).inc()
            self._measures.seconds.labels(route).observe(time.perf_counter() - began)
