"""The chart page is for everybody: names, headings, contrast, every width, and a chart without JavaScript."""

from itertools import pairwise

import pytest
from playwright.sync_api import expect

from tests.browser.charts import STEROID_MYOPATHY, first_card, state


def test_every_button_link_and_field_has_a_name(chart):
    first_card(chart).get_by_role("button", name="Dismiss this card").click()
    unnamed = chart.evaluate(
        """() => {
            const labelled = (node) => document.getElementById(node.getAttribute('aria-labelledby') ?? '');
            const ours = (node) => [node, labelled(node), ...(node.labels ?? [])];
            const texts = (node) => ours(node).map((one) => one?.textContent.trim());
            const isNamed = (node) => node.ariaLabel || texts(node).some(Boolean);
            const nodes = document.querySelectorAll('button, a, input, textarea, summary, dialog');
            return [...nodes].filter((node) => !isNamed(node)).map((node) => node.outerHTML);
        }"""
    )
    assert unnamed == []


def test_headings_begin_with_one_h1_and_skip_no_level(chart):
    levels = chart.locator("main :is(h1, h2, h3, h4)").evaluate_all(
        "nodes => nodes.map(node => Number(node.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_ids_are_unique(chart):
    ids = chart.locator("[id]").evaluate_all("nodes => nodes.map(node => node.id)")
    assert len(ids) == len(set(ids))


PAIRS = [
    ("ink", "ground"),
    ("ink", "surface"),
    ("ink", "surface-quiet"),
    ("ink-quiet", "ground"),
    ("ink-quiet", "surface"),
    ("ink-quiet", "surface-quiet"),
    ("ink-quiet", "info-ground"),
    ("ink", "info-ground"),
    ("ink", "warning-ground"),
    ("ink-quiet", "warning-ground"),
    ("ink", "critical-ground"),
    ("ink", "good-ground"),
    ("action", "surface"),
    ("action", "ground"),
    ("action", "info-ground"),
    ("on-action", "action"),
    ("critical", "surface"),
    ("critical", "critical-ground"),
    ("warning", "surface"),
    ("warning", "warning-ground"),
    ("info", "surface"),
    ("info", "info-ground"),
    ("good", "surface"),
    ("good", "good-ground"),
    ("on-bar", "bar"),
    ("on-bar-quiet", "bar"),
]


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_a_contrast_of_at_least_4_5(page, live_server, scheme):
    """WCAG 2.2, 1.4.3 (AA)."""
    page.emulate_media(color_scheme=scheme)
    page.goto(live_server.url)
    names = sorted({name for pair in PAIRS for name in pair})
    read = "names => names.map(name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim())"
    colours = dict(zip(names, page.evaluate(read, names), strict=True))
    low = {}
    for text, ground in PAIRS:
        dark, light = sorted((luminance(colours[text]), luminance(colours[ground])))
        if (ratio := (light + 0.05) / (dark + 0.05)) < 4.5:
            low[text, ground] = round(ratio, 2)
    assert low == {}


@pytest.mark.parametrize("width", [390, 1024, 1440])
def test_nothing_is_wider_than_the_window(page, live_server, width):
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("/", f"/chart/{STEROID_MYOPATHY}"):
        page.goto(live_server.url + path)
        expect(page.locator("main")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_chart_is_there_without_javascript(browser, live_server):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{live_server.url}/chart/{STEROID_MYOPATHY}")
    expect(page.get_by_role("region", name="Problems").locator("tbody tr")).not_to_have_count(0)
    expect(state(page).locator("noscript")).to_be_visible()
    context.close()
