"""The page that explains a card, in a real browser: from the chart, for everybody, on paper (T11, WCAG 2.2)."""

import re
from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

from tests.browser.charts import STEROID_MYOPATHY, first_card
from tests.browser.test_chart_accessibility import luminance

PAIRS = [(ink, "surface") for ink in ("ink", "ink-quiet", "action", "critical", "warning", "info", "good")]
PAIRS += [("good", "good-ground"), ("ink", "good-ground"), ("ink-quiet", "good-ground")]
PAIRS += [("warning", "mark-ground"), ("ink", "mark-ground"), ("ink-quiet", "mark-ground")]


@pytest.fixture
def explained(chart: Page) -> Page:
    """The page behind the link of the first card; its errors fail the test like those of the chart."""
    href = first_card(chart).get_by_role("link", name="Explain this card").get_attribute("href")
    chart.goto(chart.url.split("/chart/")[0] + href)
    return chart


def test_the_link_opens_it_beside_the_chart(chart):
    with chart.context.expect_page() as opened:
        first_card(chart).get_by_role("link", name="Explain this card").click()
    page = opened.value
    expect(page.get_by_role("heading", level=1)).to_contain_text("steroid myopathy")
    assert re.search(rf"/chart/{STEROID_MYOPATHY}/explain/[0-9a-f-]{{36}}$", page.url)


def test_it_names_the_facts_the_rule_what_is_missing_and_what_would_change_it(explained):
    facts = explained.locator("ol.facts").first
    expect(facts).to_contain_text("“prednisone 20 MG Oral Tablet”: 20 mg/day prednisone-equivalent, since ")
    expect(facts).to_contain_text("“Proximal muscle weakness (finding)”, onset ")
    for heading in (
        "What was found",
        "What is missing or not known",
        "What would change the answer",
        "Evidence",
    ):
        expect(explained.get_by_role("heading", name=heading)).to_be_visible()
    expect(explained.get_by_text("It fires:")).not_to_be_visible()  # a reader who wants it unfolds it
    explained.get_by_text("The whole rule").click()
    expect(explained.get_by_text("It fires:")).to_be_visible()
    explained.get_by_role("link", name="2", exact=True).first.click()
    expect(explained.locator("li:target")).to_contain_text("Proximal muscle weakness")


def test_it_is_styled_although_its_policy_lets_nothing_in(explained):
    """A hash that does not fit would leave the page bare, without any error of ours."""
    width = explained.locator("main").evaluate("node => getComputedStyle(node).maxWidth")
    assert width == "832px"


def test_headings_begin_with_one_h1_and_skip_no_level(explained):
    levels = explained.locator(":is(h1, h2, h3, h4)").evaluate_all(
        "nodes => nodes.map(node => Number(node.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_ids_are_unique_and_every_link_has_a_name(explained):
    ids = explained.locator("[id]").evaluate_all("nodes => nodes.map(node => node.id)")
    assert len(ids) == len(set(ids))
    names = explained.locator("a").evaluate_all("nodes => nodes.map(node => node.textContent.trim())")
    assert all(names)
    assert explained.locator("html").get_attribute("lang") == "en"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_a_contrast_of_at_least_4_5(explained, scheme):
    """WCAG 2.2, 1.4.3 (AA)."""
    explained.emulate_media(color_scheme=scheme)
    names = sorted({name for pair in PAIRS for name in pair})
    read = "names => names.map(name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim())"
    colours = dict(zip(names, explained.evaluate(read, names), strict=True))
    low = {}
    for text, ground in PAIRS:
        dark, light = sorted((luminance(colours[text]), luminance(colours[ground])))
        if (ratio := (light + 0.05) / (dark + 0.05)) < 4.5:
            low[text, ground] = round(ratio, 2)
    assert low == {}


@pytest.mark.parametrize("width", [390, 1024])
def test_nothing_is_wider_than_the_window(explained, width):
    explained.set_viewport_size({"width": width, "height": 800})
    assert explained.evaluate("document.documentElement.scrollWidth") <= width


def test_on_paper_links_to_evidence_are_written_out(explained):
    explained.emulate_media(media="print")
    link = explained.locator("a[href^='https://doi.org']").first
    assert "doi.org" in link.evaluate("node => getComputedStyle(node, '::after').content")
