"""Offers inside web frameworks and OpenFeature: each module imports its own framework, this one none.

- `.openfeature`: `OfferliftProvider` (extra `offerlift[openfeature]`)
- `.django`: `offers_middleware`, which gives each request `request.offers`
- `.flask`: `Offers`, which gives each request `g.offers`
- `.asgi`: `OffersMiddleware` for Starlette, FastAPI and other ASGI applications, which gives `request.state.offers`

What the three web helpers hand to a view is a `Visit`.
"""

from .visit import Visit

__all__ = ["Visit"]
