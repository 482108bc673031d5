"""Text on the chart page is only text (T11), and nothing comes from or goes to another host."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.charts import FIXTURES, STEROID_MYOPATHY, first_card

# --- hostile text (T11) -----------------------------------------------------------------------------------------------

HOSTILE = "Muscle weakness <img src=x onerror=alert(1)> [click](https://evil.example/) **bold** \u202edlo &lt;b&gt;"


@pytest.fixture
def hostile_chart(start_server, page, tmp_path) -> Page:
    """The chart of the same patient, with every text of a condition replaced by a hostile one."""
    fixtures = tmp_path / "fixtures"
    (fixtures / "patients").mkdir(parents=True)
    for file in (FIXTURES / "patients").glob("*.json"):
        bundle = json.loads(file.read_text())
        for entry in bundle["entry"]:
            if entry["resource"]["resourceType"] == "Condition":
                replace_texts(entry["resource"]["code"], HOSTILE)
        (fixtures / "patients" / file.name).write_text(json.dumps(bundle))
    for file in FIXTURES.glob("*.toml"):
        (fixtures / file.name).write_text(file.read_text())
    server = start_server(fixtures_dir=fixtures)
    page.goto(f"{server.url}/chart/{STEROID_MYOPATHY}")
    expect(page.locator("article.card")).not_to_have_count(0)
    return page


def replace_texts(concept: dict[str, Any], text: str) -> None:
    concept["text"] = text
    for coding in concept.get("coding", ()):
        coding["display"] = text


def test_hostile_text_in_the_chart_is_only_text(hostile_chart):
    problem = hostile_chart.get_by_role("region", name="Problems").locator("tbody th bdi").first
    expect(problem).to_have_text(HOSTILE.replace("\u202e", "\ufffd"))
    assert problem.locator("*").count() == 0


def test_hostile_text_on_a_card_is_only_text(hostile_chart):
    """It reaches the card through Markdown: no element, no link, no image, no reversed text comes of it."""
    detail = first_card(hostile_chart).locator(".detail")
    expect(detail).to_contain_text("Muscle weakness <img src=x")
    assert hostile_chart.locator(".advice :is(img, iframe, script, style, form, object, video)").count() == 0
    assert hostile_chart.locator("a[href*='evil.example']").count() == 0
    assert "\u202e" not in hostile_chart.locator("body").inner_text()


MARKDOWN = [
    ("plain", "<p>plain</p>"),
    ("**bold** and *em* and `code`", "<p><strong>bold</strong> and <em>em</em> and <code>code</code></p>"),
    ("- a\n- b\n  - c", "<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>"),
    ("1. a\n2. b", "<ol><li>a</li><li>b</li></ol>"),
    ("**Why**\n\n- a\n\nafter", "<p><strong>Why</strong></p><ul><li>a</li></ul><p>after</p>"),
    ("one\\\ntwo  \nthree\nfour", "<p>one<br>two<br>three four</p>"),
    (r"\*not\* \[a\]\(b\) \\ \_", "<p>*not* [a](b) \\ _</p>"),
    (r"**a\*b**", "<p><strong>a*b</strong></p>"),
    ("&lt;b&gt; &amp;amp; &#60; &#x3c; &unknown;", "<p>&lt;b&gt; &amp;amp; &lt; &lt; &amp;unknown;</p>"),
    ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
    ("[a](https://evil.example) ![b](x)", "<p>[a](https://evil.example) ![b](x)</p>"),
    ("## Heading", '<p class="detail-heading">Heading</p>'),
    (r"onset 2026\-10\-28", '<p>onset <span class="day">2026-10-28</span></p>'),
    ("", ""),
]


def test_markdown_becomes_elements_only_where_a_card_uses_them(chart):
    """C49: paragraphs, bold, lists, breaks, escapes; everything else is the text that it is."""
    render = """async (texts) => {
        const { markdown } = await import('/chart-static/markdown.js');
        const shown = (text) => {
            const parent = document.createElement('div');
            parent.append(...markdown(text));
            return parent.innerHTML;
        };
        return texts.map(shown);
    }"""
    assert chart.evaluate(render, [text for text, _html in MARKDOWN]) == [html for _text, html in MARKDOWN]


# --- nothing leaves the host, nothing inline --------------------------------------------------------------------------


def test_the_page_asks_nothing_of_another_host(page, live_server):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(live_server.url)
    page.goto(f"{live_server.url}/chart/{STEROID_MYOPATHY}")
    expect(page.locator("article.card")).not_to_have_count(0)
    assert [url for url in asked if not url.startswith(f"{live_server.url}/")] == []


@pytest.mark.parametrize("path", ["/", f"/chart/{STEROID_MYOPATHY}", "/chart-static/chart.js"])
def test_the_content_security_policy_forbids_inline_code_other_hosts_and_frames(page, live_server, path):
    """T11, T26, T31."""
    headers = page.request.get(live_server.url + path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


def test_an_unknown_patient_is_404(page, live_server):
    answer = page.request.get(f"{live_server.url}/chart/nobody")
    assert (answer.status, answer.json()["resourceType"]) == (404, "OperationOutcome")
