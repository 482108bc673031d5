"""``docs/profiles.md``: one clinical result as each kind of CDS Client gets it, side by side."""

from __future__ import annotations

import difflib
import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import msgspec

from cds_service.cards.compose import compose
from cds_service.cards.knowledge import CardDeck, load_deck
from cds_service.cards.links import CardLinks, allowed_links
from cds_service.cards.memory import NO_MEMORY
from cds_service.cards.profiles import CDS_HOOKS_2_0, profiles
from cds_service.cards.shape import OrderCode, deck_for
from cds_service.cards.writer import CardContext
from cds_service.cds_hooks.response import Card
from cds_service.fhir.reader import payloads_from_resources, read_record
from cds_service.fixture_patients import anchor_day, load_fixture_patients
from cds_service.rule_engine.evaluate import evaluate
from cds_service.rule_engine.facts import gather_facts
from cds_service.rule_engine.loader import load_knowledge
from cds_service.rule_engine.model import Evaluation
from cds_service.settings import Settings

PATIENT = "ada-steroid-myopathy"
# As a site could have written them into its entry.
CODES: Mapping[str, OrderCode] = {
    "tsh": OrderCode("urn:com.epic.cdshooks.action.code.system.preference-list-item", "EXAMPLE-TSH")
}
LINKS = CardLinks("https://cds.example/explain", "https://apps.example/launch")
LINK_HOSTS = ("cds.example", "apps.example")
HEAD = """# One result, six shapes

*Made by `make fix` from `cds_service/cards/profiles.toml` and the synthetic patient `{patient}`. Do not edit.*

What is advised is the same for every CDS Client; how it is written is its profile's. A profile is named in the client's
entry, or with `--open --profile NAME`. What a profile cannot show as a suggestion is named in the text. Here each
client's `link_hosts` name the service itself and a SMART app; without that, cards have no links.
"""


def profiles_page(folder: Path) -> str:
    """The page: what each profile changes, the cards of the first in full, and of the others what differs."""
    evaluation, deck = _result(folder)
    parts = [HEAD.format(patient=PATIENT), *_differences()]
    first: list[str] = []
    for name, profile in profiles().items():
        codes = CODES if profile.local_order_codes == "required" else {}
        shaped = deck_for(deck, profile, codes)
        context = CardContext(
            PATIENT, profile=profile, new_uuid=_counted(), links=allowed_links(LINKS, profile, LINK_HOSTS)
        )
        written = [line for card in compose(evaluation, shaped, NO_MEMORY, context).cards for line in _lines(card)]
        parts += [f"## {profile.title} (`{name}`)\n", f"{profile.because}\n"]
        if codes:
            parts.append(f"Here the site has given a code for {', '.join(codes)}; other orders are text.\n")
        if not first:
            first = written
            parts += ["````text", *written, "````\n"]
        else:
            changed = list(difflib.unified_diff(first, written, n=1, lineterm=""))[2:]
            parts += ["````diff", *changed, "````\n"] if changed else ["The same.\n"]
    return "\n".join(parts) + "\n"


def _result(folder: Path) -> tuple[Evaluation, CardDeck]:
    fixtures = Settings.from_environment().fixtures_dir
    day = anchor_day(fixtures)
    as_of = datetime.combine(day, time(12), UTC)
    knowledge = load_knowledge(folder, day)
    patient = next(p for p in load_fixture_patients(fixtures, day) if p.id == PATIENT)
    resources = [msgspec.json.encode(entry["resource"]) for entry in patient.bundle["entry"]]
    record = read_record(payloads_from_resources(resources), PATIENT, vocabulary=knowledge.vocabulary, as_of=as_of)
    return evaluate(knowledge.rules, gather_facts(record, knowledge, as_of)), load_deck(folder)


def _differences() -> Iterator[str]:
    """A table: profile by profile what differs from CDS Hooks 2.0."""
    yield "| Profile | Differs from `cds-hooks-2.0` in |"
    yield "|---|---|"
    plain = msgspec.structs.asdict(CDS_HOOKS_2_0)
    for name, profile in profiles().items():
        differs = [
            f"`{field} = {_toml(value)}`"
            for field, value in msgspec.structs.asdict(profile).items()
            if field not in ("title", "because") and value != plain[field]
        ]
        yield f"| `{name}` | {', '.join(differs) or 'nothing'} |"
    yield ""


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'


def _lines(card: Card) -> list[str]:
    """The text of a card, then the card without its machine-readable extension, which is the same for all."""
    body: dict[str, Any] = card.model_dump(exclude_defaults=True, exclude={"extension", "detail"})
    written = msgspec.json.format(msgspec.json.encode(body)).decode()
    return [*(card.detail or "").splitlines(), "", *written.splitlines()]


def _counted() -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: str(uuid.UUID(int=next(numbers), version=4))
