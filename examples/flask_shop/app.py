"""A shop in Flask that shows an offer to visitors who are about to leave their cart. See README.md on how to run it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid4

from flask import Flask, Request, g, jsonify, request
from offerlift.experiments import Assigner, LiveAssigner, Recorder
from offerlift.experiments.integrations.flask import Offers

CART = Decimal("89.00")
SHIPPING = Decimal("4.90")
COST = Decimal("51.00")


def create_app(assigner: Assigner | None = None, recorder: Any = None) -> Flask:
    """The shop; without arguments, on offers.json and shop.db in the current folder."""
    app = Flask(__name__)
    # The snapshot is looked at every half minute: `offerlift pause` reaches every worker without a deployment.
    assigner = assigner or LiveAssigner("offers.json")
    # With the spool, a record that was taken survives a killed worker and a database that is down.
    recorder = recorder or Recorder("sqlite:///shop.db", spool="spool.db")
    Offers(app, assigner, recorder, attributes=attributes)

    @app.get("/cart/leave")
    def leave() -> Any:
        # Where the arms could first differ: the control is exposed here too.
        assignment = g.offers.assign_and_expose("exit-downsell")
        if assignment.offer is None:
            return jsonify(popup=None)
        quote = assignment.offer.quote(base_price=CART, shipping=SHIPPING, cost=COST)
        if quote.withheld:
            return jsonify(popup=None)
        expires = quote.expires_at.isoformat() if quote.expires_at else None
        return jsonify(popup=assignment.offer.message, total=str(quote.total), expires_at=expires)

    @app.post("/orders")
    def order() -> Any:
        # A shop has the order's own number here, so that an order reported twice is counted once.
        number = request.form.get("number") or uuid4().hex
        total = Decimal(request.form["total"])
        g.offers.outcome(number, "purchase", value=total, cost=COST, currency="EUR")
        return jsonify(number=number), 201

    return app


def attributes(request: Request) -> dict[str, Any]:
    """What the eligibility rules of the offers look at."""
    # A shop takes the country from the account or the address, and the total from the cart.
    return {"country": request.args.get("country", "DE"), "cart_total": float(CART)}


if __name__ == "__main__":
    create_app().run()
