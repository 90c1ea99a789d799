"""What the server answers: the page, `POST /predict` and `/heatmap`, what is known of the model."""

from __future__ import annotations

import time
from functools import partial
from importlib.resources import files
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from quickvision.base.errors import printable
from quickvision.ship.bundle import Bundle
from quickvision.ship.predictor import Predictor
from quickvision.web.guards import Answer, refusal
from quickvision.web.heat import check_maps, heat
from quickvision.web.intake import Intake
from quickvision.web.limits import Limits, Refused
from quickvision.web.page import card, find_examples, page
from quickvision.web.photo import open_photo
from quickvision.web.turns import Turns

PATHS = "/, /predict, /heatmap, /model, /healthz or /openapi.json"


class Service:
    """A model, asked over HTTP.

    Args:
        ask: The model.
        bundle: What its folder says of it.
        folder: That folder; it is read here, and not again.
        turns: Whose turn it is.
        limits: What a request may cost.
        engine: What computes, as the card names it.
        unsure_below: As in `Predictor.predict`.
    """

    def __init__(
        self,
        ask: Predictor,
        bundle: Bundle,
        folder: Path,
        turns: Turns,
        limits: Limits,
        *,
        engine: str,
        unsure_below: float,
    ) -> None:
        self._ask, self._bundle, self._turns, self._limits = ask, bundle, turns, limits
        self._unsure_below, self._intake = unsure_below, Intake(limits)
        self._examples = find_examples(folder, bundle, limits)
        self._card = card(
            folder,
            bundle,
            engine=engine,
            limits=limits,
            unsure_below=unsure_below,
            examples=len(self._examples),
            heatmap=ask.engine.has_maps,
        )
        self._openapi = files("quickvision.web").joinpath("openapi.json").read_bytes()

    def app(self) -> Starlette:
        """Return the application; who may ask is the business of others."""
        routes = [
            Route("/", self.page),
            Route("/predict", self.predict, methods=["POST"]),
            Route("/heatmap", self.heatmap, methods=["POST"]),
            Route("/model", self.model),
            Route("/healthz", self.healthz),
            Route("/openapi.json", self.openapi),
            Route("/examples/{i:int}", self.example),
        ]
        handlers = {
            Refused: _refused,
            HTTPException: _no_such,
            ClientDisconnect: _nobody,
            Exception: _our_mistake,
        }
        made = Starlette(routes=routes, exception_handlers=handlers)
        made.router.redirect_slashes = False
        return made

    async def page(self, request: Request) -> Response:
        """Return the page."""
        return HTMLResponse(page())

    async def predict(self, request: Request) -> Response:
        """Answer for the picture that is the body."""
        self._turns.check()
        async with self._intake.picture(request) as data:
            return await self._turns.take(partial(self._answer, data))

    def _answer(self, data: bytes) -> Answer:
        begun = time.perf_counter()
        image = open_photo(data, self._bundle, self._limits)
        said = self._ask.predict(image, unsure_below=self._unsure_below)
        return Answer(
            {
                "label": printable(said.label),
                "prob": round(said.prob, 6),
                "probs": {printable(name): round(prob, 6) for name, prob in said.probs.items()},
                "unsure": said.unsure,
                "ms": round(1000 * (time.perf_counter() - begun), 1),
            }
        )

    async def heatmap(self, request: Request) -> Response:
        """Say which places of the picture that is the body speak for its answer."""
        check_maps(self._ask)
        self._turns.check()
        async with self._intake.picture(request) as data:
            return await self._turns.take(partial(self._heat, data))

    def _heat(self, data: bytes) -> Answer:
        image = open_photo(data, self._bundle, self._limits)
        return Answer(heat(self._ask, self._bundle.view, image))

    async def model(self, request: Request) -> Response:
        """Return what is known of the model."""
        return Answer(self._card)

    async def healthz(self, request: Request) -> Response:
        """Say that it is there."""
        return Answer({"ok": True})

    async def openapi(self, request: Request) -> Response:
        """Return the description of all this for programs."""
        return Response(self._openapi, media_type="application/json")

    async def example(self, request: Request) -> Response:
        """Return an example picture, by its number: no name comes near the disk."""
        i = request.path_params["i"]
        if i >= len(self._examples):
            raise Refused(404, f"expected an example below {len(self._examples)}, got {i}")
        return Response(self._examples[i].data, media_type=self._examples[i].kind)


async def _refused(request: Request, error: Exception) -> Response:
    return refusal(error) if isinstance(error, Refused) else await _our_mistake(request, error)


async def _no_such(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    method = "a picture is sent by POST, all else is asked for by GET"
    why = f"expected {PATHS}, got another address" if status == 404 else method
    return refusal(Refused(status, why, dict(getattr(error, "headers", None) or {})))


async def _nobody(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # who asked has gone


async def _our_mistake(request: Request, error: Exception) -> Response:
    return refusal(Refused(500, "a mistake in quickvision: the terminal of the server says more"))
