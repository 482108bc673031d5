"""What a rule offers: its orders, which are pre-selected, what may stand beside them, what the card advises."""

from __future__ import annotations

from collections.abc import Iterator

from cds_service.cards.order_knowledge import Caution, Order
from cds_service.cli.rules_page.words import Pack
from cds_service.rule_engine.model import Offer, Rule
from cds_service.rule_engine.plain_words import in_words


def what_it_offers(rule: Rule, pack: Pack) -> Iterator[str]:
    """Orders and cautions as tables, advice as a list."""
    yield "\n**It offers**\n"
    yield "| Order | Step | When | Pre-selected when | Not again within |"
    yield "|---|---|---|---|---|"
    for offer in rule.offers:
        yield _row(offer, pack)
    yield from _cautions(rule, pack)
    if rule.advice:
        yield "\n**It advises**\n"
    for advice in rule.advice:
        when = f" (when {in_words(advice.when)})" if advice.when else ""
        yield f'- "{advice.text}"{when}'
    if rule.looked_for:
        listed = "; ".join(rule.criteria[name].says for name in rule.looked_for)
        yield f"\nNamed as not found when it is not there: {listed}."
    if rule.context:
        listed = "; ".join(rule.criteria[name].says for name in rule.context)
        yield f"\nAdded to the facts when it is there: {listed}."


def _row(offer: Offer, pack: Pack) -> str:
    order = pack.deck.orders.orders[offer.order]
    cells = (
        order.written.label if order.resource else f"{order.written.label} (text only)",
        "second" if offer.second else "first",
        "; ".join(_when(offer, order, pack)),
        in_words(offer.preselect_when) if offer.preselect_when else "never",
        not_again_within(order) + _but_seen_since(offer),
    )
    return f"| {' | '.join(cells)} |"


def _when(offer: Offer, order: Order, pack: Pack) -> Iterator[str]:
    yield in_words(offer.when) if offer.when else "always"
    if order.written.settled_by:
        yield f"not with an active entry of {pack.titles(order.written.settled_by)}"
    if order.written.needs_finding:
        yield "not without a finding (C6)"


def _but_seen_since(offer: Offer) -> str:
    return f"; what was before the newest {in_words(offer.seen_since)} does not count (G7)" if offer.seen_since else ""


def not_again_within(order: Order) -> str:
    """How long what was done or ordered keeps an order from being offered (G6, G8)."""
    written = order.written
    look_back = written.look_back_days
    if look_back is None:
        return "once done, never again"
    days = "the same day" if look_back == 0 else "1 day" if look_back == 1 else f"{look_back} days"
    if written.abnormal_look_back_days is not None:
        days += f", {written.abnormal_look_back_days} after an abnormal result"
    return f"{days}, if all was measured" if written.done_needs == "all" else days


def _cautions(rule: Rule, pack: Pack) -> Iterator[str]:
    """What may stand beside which orders, and when; one row for several orders of which the same is said."""
    rows: dict[tuple[str, str], list[str]] = {}
    for offer in rule.offers:
        order = pack.deck.orders.orders[offer.order]
        for said in (*((c.text, caution_when(c, pack)) for c in order.written.cautions), *_rays(rule, order, pack)):
            rows.setdefault(said, []).append(order.written.label)
    if rows:
        yield "\n**Beside an order may stand**\n"
        yield "| Order | Caution | When |"
        yield "|---|---|---|"
    for (text, when), labels in rows.items():
        yield f"| {'; '.join(labels)} | {text} | {when} |"


def _rays(rule: Rule, order: Order, pack: Pack) -> Iterator[tuple[str, str]]:
    """G11, A-27: what is said of X-ray and CT in pregnancy, beside the order or in place of it."""
    pregnancy = pack.deck.orders.pregnancy
    if order.written.ionising and rule.number in pregnancy.exempt_rules:
        yield pregnancy.exempt_text, _pregnant(pack)
    elif order.written.ionising:
        yield f"(in place of the order) {pregnancy.text}", _pregnant(pack)


def caution_when(caution: Caution, pack: Pack) -> str:
    """When a caution stands, and what is read for it."""
    reasons = []
    within = f" that began or was recorded within {caution.within_days} days" if caution.within_days else ""
    if caution.conditions:
        reasons.append(f"an active entry{within} of {pack.titles(caution.conditions)}")
    if caution.results:
        recent = f", if at most {caution.within_days} days old," if caution.within_days else ""
        limit = f"{caution.below:g} ({', '.join(f'`{unit}`' for unit in caution.units)})"
        reasons.append(f"the newest result of {pack.titles(caution.results)}{recent} is below {limit}")
    return "; or ".join(reasons) or "always"


def _pregnant(pack: Pack) -> str:
    known = pack.deck.orders.pregnancy
    return (
        f"an active entry within {known.within_days} days of {pack.titles(known.sets)}; or within"
        f" {known.delivery_within_days} days of {pack.titles(known.delivery_sets)}"
    )
