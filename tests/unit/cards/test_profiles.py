"""Client profiles: one clinical result in the shape that each CDS Client can show (C49-C57, C80, P-04)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cds_service.cards.compose import CardContext, Composed, compose
from cds_service.cards.knowledge import CardDeck
from cds_service.cards.links import CardLinks, allowed_links
from cds_service.cards.memory import NO_MEMORY
from cds_service.cards.profiles import ClientProfile, profile_named, profiles
from cds_service.cards.shape import OrderCode, deck_for, plain_text
from cds_service.cds_hooks.response import Card
from cds_service.errors import SettingsError
from tests.unit.cards.builders import evaluation, fired

EPIC_ITEM = "urn:com.epic.cdshooks.action.code.system.preference-list-item"


def composed(deck: CardDeck, profile: ClientProfile, codes: dict[str, OrderCode] | None = None) -> Composed:
    """What a weak patient on steroids gets: three orders, one of them without a verified code."""
    shaped = deck_for(deck, profile, codes or {})
    fact = fired("R11", "ck", "potassium", "immunofixation", preselect=("ck", "potassium"))
    return compose(evaluation(fact), shaped, NO_MEMORY, CardContext("p1", profile=profile))


@pytest.mark.parametrize("name", ["cds-hooks-2.0", "cds-hooks-3.0", "sandbox", "epic", "oracle-health", "athenahealth"])
class TestEveryProfile:
    def test_says_what_it_rests_on(self, name: str) -> None:
        assert profile_named(name).title
        assert profile_named(name).because

    def test_loses_no_order_and_no_warning(self, deck: CardDeck, name: str) -> None:
        """Whatever it cannot show as a suggestion is named in the text: the advice is the same everywhere."""
        (card,) = composed(deck, profile_named(name)).cards
        assert card.indicator == "warning"
        said = f"{card.detail} {' '.join(s.label for s in card.suggestions)}"
        for key in ("ck", "potassium", "immunofixation"):
            assert deck.orders.label(key) in said.replace("\\", "")

    def test_recommends_at_most_one_where_suggestions_exclude_each_other(self, deck: CardDeck, name: str) -> None:
        """C52."""
        (card,) = composed(deck, profile_named(name)).cards
        recommended = [s for s in card.suggestions if s.isRecommended]
        if card.selectionBehavior == "at-most-one":
            assert len(recommended) == 1
        if card.suggestions:
            assert card.selectionBehavior == profile_named(name).selection_behavior

    def test_has_one_action_for_each_suggestion(self, deck: CardDeck, name: str) -> None:
        """Epic takes no more."""
        (card,) = composed(deck, profile_named(name)).cards
        assert all(len(s.actions) == 1 for s in card.suggestions)

    def test_has_a_topic_that_epic_can_remember(self, deck: CardDeck, name: str) -> None:
        """C48: letters and digits, at most 100, the same at every call."""
        (card,) = composed(deck, profile_named(name)).cards
        assert card.source.topic is not None
        assert card.source.topic.code == "topicR11"


def test_every_rule_has_a_topic_that_epic_can_remember(deck: CardDeck) -> None:
    topics = [path.read_text() for path in (Path(__file__).parents[3] / "rules").glob("*/rule.toml")]
    codes = [text.split('\ntopic = "')[1].split('"')[0] for text in topics]
    assert len(codes) == len(set(codes)) == 25
    assert all(code.isalnum() and len(code) <= 100 for code in codes)


def test_the_sandbox_needs_a_card_where_others_get_an_error() -> None:
    """Measured: it shows "All clear!" for every status but 200."""
    assert profile_named("sandbox").errors_as_card
    assert not profile_named("cds-hooks-2.0").errors_as_card


EXPLAIN, TIMELINE, CLOSED = (
    "https://cds.example/explain",
    "https://apps.example/launch",
    "https://closed.example/launch",
)
LINKS = {
    "cds-hooks-2.0": ["absolute", "smart with appContext"],
    "cds-hooks-3.0": ["absolute", "smart with appContext"],
    "sandbox": ["absolute"],
    "epic": ["absolute", "smart"],
    "oracle-health": ["absolute"],
    "athenahealth": ["absolute"],
}


def linked(deck: CardDeck, name: str, links: CardLinks, *hosts: str) -> Card:
    """The card of a client with this profile whose entry names these hosts."""
    profile = profile_named(name)
    context = CardContext("p1", profile=profile, links=allowed_links(links, profile, hosts))
    (card,) = compose(evaluation(fired("R11", "ck")), deck, NO_MEMORY, context).cards
    return card


class TestLinks:
    """C57, C58, T26."""

    @pytest.mark.parametrize("name", list(LINKS))
    def test_each_profile_gets_those_that_it_can_open(self, deck: CardDeck, name: str) -> None:
        card = linked(deck, name, CardLinks(EXPLAIN, TIMELINE), "cds.example", "apps.example")
        kinds = [link.type + (" with appContext" if link.appContext else "") for link in card.links]
        assert kinds == LINKS[name]
        assert card.links[0].url == f"{EXPLAIN}/{card.uuid}"

    @pytest.mark.parametrize("name", list(LINKS))
    def test_none_to_a_host_that_is_not_allowed(self, deck: CardDeck, name: str) -> None:
        assert linked(deck, name, CardLinks(EXPLAIN, CLOSED), "apps.example", "sub.cds.example").links == ()

    @pytest.mark.parametrize("url", ["http://cds.example/explain", "javascript:alert(1)", "//cds.example/explain", ""])
    def test_only_https(self, deck: CardDeck, url: str) -> None:
        assert linked(deck, "cds-hooks-2.0", CardLinks(url, url), "cds.example").links == ()

    def test_a_host_is_compared_without_regard_to_capitals_and_port(self, deck: CardDeck) -> None:
        card = linked(deck, "cds-hooks-2.0", CardLinks("https://CDS.example:8443/explain"), "cds.Example")
        assert [link.url for link in card.links] == [f"https://CDS.example:8443/explain/{card.uuid}"]

    def test_the_app_is_told_the_card_and_its_rules_and_nothing_of_the_patient(self, deck: CardDeck) -> None:
        card = linked(deck, "cds-hooks-2.0", CardLinks(timeline=TIMELINE), "apps.example")
        (link,) = card.links
        assert json.loads(link.appContext or "") == {"card": card.uuid, "rules": ["r11"]}
        assert link.url == TIMELINE


class TestEpic:
    def test_an_order_without_a_code_of_the_site_is_text(self, deck: CardDeck) -> None:
        """Never a dead button: Epic takes details from its preference list only."""
        (card,) = composed(deck, profile_named("epic")).cards
        assert card.suggestions == ()
        assert deck.orders.label("ck") in (card.detail or "")

    def test_an_order_with_one_carries_it_beside_our_own_key(self, deck: CardDeck) -> None:
        (card,) = composed(deck, profile_named("epic"), {"ck": OrderCode(EPIC_ITEM, "4711")}).cards
        (suggestion,) = card.suggestions
        (action,) = suggestion.actions
        assert action.resource is not None
        codings = action.resource["code"]["coding"]
        assert (codings[0]["code"], codings[1]["system"], codings[1]["code"]) == ("ck", EPIC_ITEM, "4711")
        assert action.description

    def test_a_code_is_never_made_for_an_order_that_has_none_verified(self, deck: CardDeck) -> None:
        """B-53: what is text for want of a verified code stays text."""
        (card,) = composed(deck, profile_named("epic"), {"immunofixation": OrderCode(EPIC_ITEM, "1")}).cards
        assert card.suggestions == ()


class TestOracleHealth:
    def test_information_and_no_buttons(self, deck: CardDeck) -> None:
        (card,) = composed(deck, profile_named("oracle-health")).cards
        assert (card.suggestions, card.selectionBehavior, card.overrideReasons) == ((), None, ())

    def test_the_text_is_plain(self, deck: CardDeck) -> None:
        (card,) = composed(deck, profile_named("oracle-health")).cards
        assert "**" not in (card.detail or "")
        assert "\\" not in (card.detail or "")


@pytest.mark.parametrize(
    ("markdown", "plain"),
    [
        ("**Why**\n\n- “a”: 3 (limit 4)", "Why:\n\n- “a”: 3 (limit 4)"),
        (r"a \* b \_c\_ \[x\] 1\. 2", "a * b _c_ [x] 1. 2"),
        ("CK &lt; 40 &amp; falling", "CK < 40 & falling"),
        ("&lt;img src=x onerror=alert(1)&gt;", "< img src=x onerror=alert(1)>"),
        ("&lt;/script&gt; &lt;!-- &lt;?php", "< /script> < !-- < ?php"),
        (r"\*\*not a heading\*\*", "**not a heading**"),
    ],
)
def test_t11_plain_text_is_what_the_markdown_shows_and_never_a_tag(markdown: str, plain: str) -> None:
    assert plain_text(markdown) == plain


def test_an_unknown_profile_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"no client profile 'epic9'. Profiles: athenahealth, cds-hooks-2.0"):
        profile_named("epic9")


def test_gap_card_and_evaluation_extension_are_never_both_off() -> None:
    """P-04: both off, and a gap would look like no finding."""
    ClientProfile(title="quiet", because="a test", gap_card=False)
    ClientProfile(title="small", because="a test", evaluation_extension=False)
    with pytest.raises(ValueError, match="only while the evaluation extension is on"):
        ClientProfile(title="blind", because="a test", gap_card=False, evaluation_extension=False)


def test_the_profiles_are_six() -> None:
    assert list(profiles()) == ["cds-hooks-2.0", "cds-hooks-3.0", "sandbox", "epic", "oracle-health", "athenahealth"]
