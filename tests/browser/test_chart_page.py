"""The chart page in a real browser: a patient's chart, the cards as an EHR shows them, answered by keyboard alone."""

import re

from playwright.sync_api import Page, expect

from tests.browser.charts import (
    PATIENTS,
    RISKS_ONLY,
    SETTINGS,
    expected_console_error,
    first_card,
    outcome,
    state,
)

# --- the list and the chart -------------------------------------------------------------------------------------------


def test_the_list_shows_every_synthetic_patient(page, live_server):
    page.goto(live_server.url)
    hrefs = page.locator("nav a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert hrefs == [f"/chart/{patient.id}" for patient in PATIENTS]


def test_the_banner_names_the_patient_and_says_that_it_is_synthetic(chart):
    banner = chart.get_by_role("group", name="Patient")
    expect(banner).to_contain_text("Testpatient")
    for mark in ("Synthetic patient", "Born", "Age", "Sex", "ID"):
        expect(banner).to_contain_text(mark)


def test_the_chart_has_problems_medications_results_and_visits(chart):
    for title in ("Problems", "Medications", "Results", "Visits"):
        expect(chart.get_by_role("region", name=title).locator("tbody tr")).not_to_have_count(0)


def test_every_synthetic_patient_is_answered_as_it_was_written(page, live_server):
    """The cards of ``fixtures/expected.toml``, most urgent first; without a card the page says why, never a failure."""
    for patient in PATIENTS:
        page.goto(f"{live_server.url}/chart/{patient.id}")
        without_card = "silenced" if patient.suppressed else "nothing"
        expected = "cards" if patient.expected_cards else without_card
        expect(state(page), patient.id).to_have_attribute("data-state", expected)
        words = [word.lower() for word in page.locator("article.card .indicator").all_inner_texts()]
        assert words == [card.indicator for card in patient.expected_cards], patient.id


# --- a card as an EHR shows it ----------------------------------------------------------------------------------------


def test_a_card_shows_its_indicator_as_a_word_its_summary_source_and_detail(chart):
    """C44-C49: colour alone says nothing."""
    card = first_card(chart)
    expect(card.locator(".indicator")).to_have_text("Warning")
    expect(card.get_by_role("heading", level=3)).not_to_be_empty()
    expect(card.locator(".source")).to_contain_text("Atrophy CDS")
    expect(card.locator(".detail strong").first).to_have_text("Why")
    expect(card.locator(".detail ul li")).not_to_have_count(0)


def test_why_is_this_card_here_names_the_facts_as_links_into_the_chart(chart):
    """P-23: every fact of the basis has its row in the chart."""
    why = first_card(chart).locator("details.why")
    why.get_by_text("Why is this card here?").click()
    fact = why.locator(".facts a").first
    named = fact.inner_text()
    expect(why.locator(".facts li").first).to_have_text(re.compile(r"mg/day .* · \d{4}-\d\d-\d\d · RxNorm \d+"))
    fact.click()
    expect(chart.locator("tr:target th bdi").first).to_have_text(named)
    expect(why).to_contain_text("steroid-myopathy 1.")


def test_every_rule_and_every_source_is_listed_with_its_answer(chart):
    """P-23: one of fired, not met, unknown, suppressed for each rule, with the reason."""
    chart.get_by_text("What every rule answered").click()
    rules = chart.locator("#evaluation details", has_text="What every rule answered")
    slugs = {path.parent.name for path in SETTINGS.rules_dir.glob("*/rule.toml")}
    shown = rules.locator("tbody tr")
    assert {row.split()[0] for row in shown.locator("th").all_inner_texts()} == slugs
    words = shown.locator(".status").all_inner_texts()
    assert set(words) <= {"fired", "not met", "unknown", "suppressed"}
    assert "fired" in words
    chart.get_by_text("What was read").click()
    expect(chart.locator("#evaluation details", has_text="What was read").locator("tbody")).to_contain_text(
        "conditions"
    )


def test_risk_factors_without_a_finding_are_listed_without_a_card(page, live_server):
    """Tier 1: no card by policy, but never hidden."""
    page.goto(f"{live_server.url}/chart/{RISKS_ONLY}")
    expect(page.get_by_role("region", name="Risk factors recorded")).to_contain_text("Tier 1")
    expect(page.locator("article.card")).to_have_count(0)


def test_the_page_says_what_it_is(chart):
    expect(chart.locator(".footer")).to_have_text("Decision support, not diagnosis. Rules not clinically reviewed.")


# --- answering a card by keyboard alone -------------------------------------------------------------------------------


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the button whose name begins so has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("(document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()").startswith(
            name
        ):
            return
    raise AssertionError(f"Tab does not reach {name!r}")


def test_a_suggestion_is_accepted_by_keyboard_and_the_service_has_the_feedback(chart, live_server):
    """C64, C65: skip link, Tab, Enter."""
    chart.keyboard.press("Tab")
    chart.keyboard.press("Enter")
    tab_to(chart, "Accept: ")
    chart.keyboard.press("Enter")
    expect(first_card(chart).locator(".received").filter(has_text="Feedback received")).to_have_count(1)
    assert chart.evaluate("document.activeElement.ariaLabel").startswith("Accepted: ")
    (answer,) = live_server.store.feedback_about(first_card(chart).get_attribute("data-card"))
    assert (answer.outcome, len(answer.accepted_orders)) == ("accepted", 1)


def test_a_second_accepted_suggestion_is_reported_together_with_the_first(chart, live_server):
    """The newest feedback about a card says all that was accepted on it (C67)."""
    received = first_card(chart).locator(".received").filter(has_text="Feedback received")
    for count in (1, 2):
        first_card(chart).get_by_role("button", name=re.compile("^Accept: ")).first.click()
        expect(received).to_have_count(count)
    answers = live_server.store.feedback_about(first_card(chart).get_attribute("data-card"))
    assert [len(answer.accepted_orders) for answer in answers] == [1, 2]


def dismiss_first_card(page: Page, reason: str) -> str:
    """By keyboard: Tab to the button, Tab to the reasons, arrow down to one, Enter. Gives the card's uuid."""
    card = first_card(page).get_attribute("data-card")
    tab_to(page, "Dismiss this card")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    for _ in range(20):
        if page.get_by_role("radio", name=reason, exact=True).is_checked():
            break
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("article.dismissed")).to_contain_text("Feedback received")
    return card


def test_a_card_is_dismissed_by_keyboard_with_a_reason(chart, live_server):
    """C56, C66: the reason comes back as it was offered; the focus stays where the card was."""
    card = dismiss_first_card(chart, "Will monitor")
    (answer,) = live_server.store.feedback_about(card)
    assert (answer.outcome, answer.reason_code, answer.reason_system) == (
        "overridden",
        "will-monitor",
        "urn:atrophy-cds:override-reasons",
    )
    assert chart.evaluate("document.activeElement.dataset.card") == card


def test_escape_keeps_the_card_and_gives_the_focus_back(chart, live_server):
    tab_to(chart, "Dismiss this card")
    chart.keyboard.press("Space")
    expect(chart.get_by_role("dialog")).to_be_visible()
    chart.keyboard.press("Escape")
    expect(chart.get_by_role("dialog")).to_be_hidden()
    assert chart.evaluate("document.activeElement.ariaLabel") == "Dismiss this card"
    assert live_server.store.feedback_about(first_card(chart).get_attribute("data-card")) == ()


def test_an_answered_card_is_snoozed_when_the_chart_is_opened_again(chart):
    """A-16: no advice now, and the page says why; it is not the same as nothing to advise."""
    for _ in range(chart.locator("article.card").count()):
        chart.locator("article.card:not(.dismissed)").first.get_by_role("button", name="Dismiss this card").click()
        chart.get_by_role("radio", name="Will monitor").check()
        chart.get_by_role("button", name="Dismiss card").click()
        expect(chart.get_by_role("dialog")).to_be_hidden()
    chart.reload()
    expect(state(chart)).to_have_attribute("data-state", "snoozed")
    expect(state(chart)).to_contain_text(re.compile(r"No advice shown now\.\s+\d rules? (is|are) snoozed"))
    expect(state(chart)).not_to_contain_text("Nothing to advise")


def test_feedback_that_was_not_received_is_said_and_can_be_sent_again(chart, console_errors):
    chart.route("**/feedback", lambda route: route.fulfill(status=500, json=outcome("The service failed.")))
    accept = first_card(chart).get_by_role("button", name=re.compile("^Accept: ")).first
    with expected_console_error(console_errors, "500"):
        accept.click()
        expect(first_card(chart)).to_contain_text("Feedback was not received. The service failed.")
    chart.unroute("**/feedback")
    accept.click()
    expect(first_card(chart)).to_contain_text("Feedback received")
