from __future__ import annotations

import pytest

EXIT_DOWNSELL = """\
experiment: exit-downsell
owner: growth team
description: Visitors who move to leave the cart see a lighter product, or free shipping — or nothing.
currency: EUR
enrol_on: exit_intent
eligibility:
  - {attribute: country, in: [DE, AT, SE, NO]}
  - {attribute: cart_total, gte: 40}
arms:
  - name: control
  - name: lighter-10-off
    offer:
      kind: downsell
      placement: exit_popup
      trigger: exit_intent
      product: lighter-mug
      discount: {percentage: 10, code: LIGHTER10}
      timer: 15m
  - name: free-shipping
    offer: {kind: downsell, placement: exit_popup, trigger: exit_intent, free_shipping: true}
metrics:
  - conversion: {window: 7d}
  - revenue_per_visitor: {window: 7d, covariate: past_revenue}
  - margin_per_visitor: {window: 7d, margin: 2%}
  - average_order_value: {window: 7d}
  - {name: support_contacts, kind: count, event: support_contact, window: 7d, desired_change: decrease}
plan:
  primary: revenue_per_visitor
  guardrails: [margin_per_visitor]
  adjusted: true
  minimum_detectable_effect: 5%
  longest_duration: 6w
"""

CART_FACTORIAL = """\
experiment: cart-threshold
currency: SEK
control: today.none
offer: {kind: threshold, placement: cart, trigger: cart_view}
factors:
  threshold:
    today:
    from-499: {free_shipping: {from: 499}}
  discount:
    none:
    five-percent: {discount: {percentage: 5%}}
metrics:
  - orders_per_visitor
  - margin_per_visitor: {window: 14d, covariate: {name: past_margin, window: 26w}}
plan: {primary: margin_per_visitor, alpha: 0.1, power: 90%, minimum_detectable_effect: 0.03}
"""

EVERYTHING = """\
experiment: upsell.everything_1
owner: Åsa & Jörg
description: |
  Two lines
  of text.
currency: SEK
utc_offset: "+01:00"
starts_at: 2026-03-01T09:00:00+01:00
ends_at: "2026-05-01T09:00:00Z"
enrol_on: purchase
traffic: 20%
eligibility:
  - {attribute: country, in: [SE, NO, "yes", true, 1, 2.5]}
  - {attribute: cart_total, gte: 40, lt: 99.90}
  - {attribute: tags, contains: vip}
  - {attribute: blocked, exists: false}
  - {attribute: plan, ne: free, not_in: [trial]}
segments: [country, device]
columns: [category]
holdouts: [spring]
layer: {name: checkout, range: [0, 5000]}
salt: upsell-2026
control: later
offers:
  bundle-deal:
    kind: bundle
    placement: post_purchase
    trigger: offer_declined
    price: {amount: 89.90, tax: excluded}
    discount: {buy_x_get_y: {buy: 2, get: 1}}
    on_decline: small
  small:
    {kind: downsell, placement: email, trigger: offer_declined, price: {relative: 50%}, discount: {gift: a card}}
arms:
  - name: now
    weight: 25%
    offer:
      kind: upsell
      placement: post_purchase
      trigger: purchase
      product: "mug: large"
      price: {relative: 1.3}
      minimum_requirement: 20
      timer: 36h
      message: Only today
      guards:
        frequency_cap: {times: 1, per: 7d}
        usage_limit: 500
        min_margin: 15%
        max_price_increase: 40%
      alternatives: [small]
      on_accept: bundle-deal
  - name: later
    weight: 1/4
    offer: {kind: upsell, placement: email, trigger: purchase, delay: 2d, discount: {voucher: 10}}
  - name: trial
    weight: 0.25
    offer: {kind: loyalty, placement: in_app, trigger: milestone, discount: {trial: 14d, description: note}}
  - name: points
    weight: 0.25
    offer: {kind: retention, placement: live_chat, trigger: own_event, discount: {points: 200}, price: 5}
metrics:
  - conversion
  - revenue_per_visitor: {event: order, window: 30d, cap: 500, desired_change: increase}
  - margin_per_visitor: {window: 30d, margin: 0.02, filter: [{column: category, eq: mugs}]}
  - {name: came_back, kind: retention, between: [7d, 14d]}
  - name: items_per_order
    kind: ratio
    numerator: {event: item, measure: count}
    denominator: {event: purchase, measure: count}
    window: 14d
plan:
  primary: revenue_per_visitor
  guardrails: [margin_per_visitor]
  minimum_detectable_effect: 120%
  alpha: 10%
  power: 0.9
  looks: [50%, 0.75, 1]
  sample_size: 40000
  longest_duration: 6w
  audience: {per_week: 20000, horizon: 26w, switching_cost: 1500}
"""


@pytest.fixture(scope="session")
def exit_downsell() -> str:
    return EXIT_DOWNSELL


@pytest.fixture(scope="session")
def cart_factorial() -> str:
    return CART_FACTORIAL


@pytest.fixture(scope="session")
def everything() -> str:
    return EVERYTHING
