"""Assembles the application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from vivant.api import errors
from vivant.api.auth import RateLimiter, key_required
from vivant.api.guard import Guard
from vivant.api.routes import (
    batches,
    comparisons,
    content,
    crops,
    models,
    page,
    status,
    videos,
    webhooks,
)
from vivant.api.state import State
from vivant.version import __version__


def create_app(state: State) -> FastAPI:
    """The application on a built state."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await state.events.close()
        await state.examples.close()
        state.crop_worker.close()
        state.comparison_worker.close()
        state.database.close()

    app = FastAPI(
        title="Vivant",
        version=__version__,
        description="One still picture of a person in, a faithful moving 1080p clip out, with "
        "proof. Compatible with the Videos API of the openai client.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.vivant = state
    app.state.rate_limiter = RateLimiter(state.settings.requests_per_minute)
    errors.install(app)
    for module in (videos, batches, comparisons, content, crops, models, webhooks, status, page):
        app.include_router(module.router)
    app.add_middleware(
        Guard,
        settings=state.settings,
        key_required=partial(key_required, state),
        loopback=state.loopback,
    )
    return app
