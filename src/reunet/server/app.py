"""The application: everything that answers, put together."""

from fastapi import FastAPI

from reunet import __version__
from reunet.server.api import about, jobs, predictions
from reunet.server.measures import Measured, Measures
from reunet.server.page import routes as page
from reunet.server.problems import REFUSED, explain
from reunet.server.security import Guard, Rules
from reunet.server.service import Service

SUMMARY = "Predictions of U-Nets by HTTP: send an image, get masks, objects, boxes or classes."


def create_app(service: Service, rules: Rules | None = None) -> FastAPI:
    """What answers the requests to a server. rules: who is answered."""
    app = FastAPI(
        title="reunet",
        summary=SUMMARY,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        responses={"4XX": REFUSED, 422: REFUSED},
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.service, app.state.rules = service, rules or Rules()
    app.state.measures = Measures(service)
    explain(app, service.scratch)
    for room in (predictions, jobs, about):
        app.include_router(room.router)
    page.add_to(app)
    app.add_middleware(Guard, rules=app.state.rules)
    app.add_middleware(Measured, measures=app.state.measures)
    return app
