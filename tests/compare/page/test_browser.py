"""A browser draws the page, offline, and its tables and figures answer."""

import json
import re
import time

import compare_builders as made
import numpy as np
import pytest

from pipeline.compare.leaderboard import leaderboard
from pipeline.compare.page import page

pytestmark = pytest.mark.exhaustive
RANKS = "[...table.tBodies[0].rows].map(row => Number(row.cells[0].textContent))"


def until(condition):
    """What the condition gives as soon as that is true; nothing takes a minute."""
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def opened(browser, folder, text, width=1280) -> None:
    """Load the page in a window of so many pixels and wait until its figures are drawn."""
    path = folder / "page.html"
    path.write_text(text, encoding="utf-8")
    browser.get_log("performance")
    browser.get_log("browser")
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False},
    )
    browser.get(path.as_uri())
    undrawn = "return document.querySelectorAll('.plot:not(.js-plotly-plot)').length"
    until(lambda: browser.execute_script(undrawn) == 0)


def requests(browser) -> list[str]:
    """What was asked for but the file itself and what a page makes of itself."""
    messages = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"].endswith("WillBeSent")]
    return [url for url in urls if not re.match(r"(file|chrome|chrome-untrusted|blob|data):", url)]


def errors(browser) -> list[str]:
    return [line["message"] for line in browser.get_log("browser") if line["level"] == "SEVERE"]


def pointer(browser, *steps) -> None:
    """Move the pointer to places (x, y) of the window, and press or release it where named."""
    from selenium.webdriver.common.actions.action_builder import ActionBuilder

    actions = ActionBuilder(browser)
    for step in steps:
        if isinstance(step, tuple):
            actions.pointer_action.move_to_location(*map(int, step))
        else:
            getattr(actions.pointer_action, step)()
    actions.perform()


@pytest.mark.parametrize(("kind", "width"), [("usual", 1280), ("usual", 390), ("hostile", 390)])
def test_every_figure_is_drawn_inside_the_window_and_nothing_is_asked_for(
    browser, tmp_path, kind, width
):
    text = page(made.hostile() if kind == "hostile" else made.with_failures(made.grid()))
    opened(browser, tmp_path, text, width)
    drawn = browser.execute_script(
        "const inked = canvas => {"
        "  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d');"
        "  copy.drawImage(canvas, 0, 0);"
        "  return copy.getImageData(0, 0, canvas.width, canvas.height).data.some(x => x > 0); };"
        "return [...document.querySelectorAll('.js-plotly-plot')].map(plot => [plot.id,"
        " plot.querySelectorAll('path.js-line, path.point, .bars path').length"
        " + [...plot.querySelectorAll('canvas')].filter(inked).length])"
    )
    assert dict(drawn).keys() == made.Page(text).data["figures"].keys()
    assert all(marks > 0 for _, marks in drawn), drawn
    broad = browser.execute_script(
        "const width = document.documentElement.clientWidth;"
        "return [...document.querySelectorAll('body, h1, p, figure, .plot, .plot svg, .plot canvas,"
        " .wide')].filter(e => e.getBoundingClientRect().right > width + 1).map(e => e.outerHTML"
        ".slice(0, 99)).concat(document.documentElement.scrollWidth > width ? ['page'] : [])"
    )
    assert broad == []
    assert browser.execute_script("return document.querySelectorAll('img, .no-webgl').length") == 0
    assert browser.execute_script("return [...document.links].map(a => a.href)") == [
        "https://host/#/runs/1"
    ]
    assert errors(browser) == []
    assert requests(browser) == []


def test_what_a_page_asks_for_and_complains_of_would_be_seen(browser, tmp_path):
    """The negative control of the test above."""
    opened(browser, tmp_path, "<img src='http://127.0.0.1:9/x.png'><script>throw Error(1)</script>")
    assert until(lambda: requests(browser)) == ["http://127.0.0.1:9/x.png"]
    assert until(lambda: errors(browser))
    opened(browser, tmp_path, page(made.grid()).replace("</h1>", "</h1><script>x()</script>"))
    assert any("Content Security Policy" in error for error in errors(browser))


@pytest.mark.exhaustive
def test_a_heading_sorts_the_table_and_its_folded_tail_as_one(browser, tmp_path):
    axes = {made.RATE: tuple(10.0**-i for i in range(6)), made.L2: tuple(range(10))}
    comparison = made.grid(axes, seeds=2)
    opened(browser, tmp_path, page(comparison))

    def click(heading: str) -> list[int]:
        """The ranks in both tables after a click on the heading."""
        tables = browser.execute_script(
            "const heads = [...document.querySelectorAll('th')];"
            "heads.find(head => head.innerText.startsWith(arguments[0])).click();"
            f"return [...document.querySelectorAll('.board')].map(table => {RANKS})",
            heading,
        )
        assert list(map(len, tables)) == [50, 10]
        return [rank for table in tables for rank in table]

    shown = np.array([float(row.figures["sd"]) for row in leaderboard(comparison)])
    up = np.argsort(shown, kind="stable")
    assert click("sd") == list(up + 1)
    assert click("sd") == list(up[np.argsort(-shown[up], kind="stable")] + 1)
    assert click("rank") == list(range(1, 61))
    assert click("excess") == list(range(1, 61))  # +6.41e-07 is a number


@pytest.mark.exhaustive
def test_buttons_make_axes_logarithmic_and_linear_again(browser, tmp_path):
    opened(browser, tmp_path, page(made.grid()))
    kinds = "const { xaxis, yaxis } = curves._fullLayout; return `${yaxis.type} ${xaxis.type}`"
    assert browser.execute_script(kinds) == "linear linear"
    for button, wanted in ((0, "log linear"), (1, "log log"), (0, "linear log"), (1, "linear li")):
        browser.find_elements("css selector", "#curves .updatemenu-button")[button].click()
        until(lambda wanted=wanted: browser.execute_script(kinds).startswith(wanted))
    assert errors(browser) == []


@pytest.mark.exhaustive
def test_what_is_selected_on_an_axis_stands_out_in_the_leaderboard(browser, tmp_path):
    comparison = made.grid(seeds=2)
    opened(browser, tmp_path, page(comparison))
    left, top, height = browser.execute_script(
        "const axis = document.querySelector('#parallel .axis-brush');"
        "axis.scrollIntoView({ block: 'center' });"
        "const box = axis.getBoundingClientRect();"
        "return [box.left + box.width / 2, box.top, box.height]"
    )

    def place(share: float) -> tuple[float, float]:
        return left, top + share * height

    def selected() -> tuple[str, set[int]]:
        text = browser.find_element("id", "selected").text
        ranks = browser.execute_script(
            "return [...document.querySelectorAll('.board tbody tr:not(.unselected)')]"
            ".map(row => Number(row.cells[0].textContent))"
        )
        return text, set(ranks)

    slow = {i + 1 for i, c in enumerate(comparison.candidates) if c.params[made.RATE] <= 0.03}
    drag = [place(0.6), "pointer_down", place(0.7), place(0.8), place(1), "pointer_up"]
    pointer(browser, *drag)  # the lower two of five rates
    text, ranks = until(lambda: selected() if selected()[0] else None)
    assert text.startswith(f"Selected: {len(slow)} of 30, rank {min(slow)}, ")
    assert ranks == slow
    pointer(browser, place(0.95), "pointer_down", "pointer_up")
    until(lambda: selected() == ("", set(range(1, 31))))
    assert errors(browser) == []


@pytest.mark.exhaustive
def test_under_the_pointer_a_curve_shows_whose_it_is(browser, tmp_path):
    comparison = made.grid({made.RATE: (1e-4, 0.3)}, seeds=2)  # curves far apart
    opened(browser, tmp_path, page(comparison))
    x, y = browser.execute_script(
        "curves.scrollIntoView();"
        "const { xaxis, yaxis, _size } = curves._fullLayout;"
        "const box = curves.getBoundingClientRect();"
        "const trace = curves._fullData.find(trace => trace.name[0] == 2);"
        "return [box.left + _size.l + xaxis.c2p(trace.x[45]),"
        " box.top + _size.t + yaxis.c2p(trace.y[45])]"
    )
    pointer(browser, (x + 3, y + 3), (x, y))
    shown = "return [...document.querySelectorAll('#curves .hovertext')].map(e => e.textContent)"
    loss = np.mean([run.curve["valid_loss"][45] for run in comparison.candidates[1].runs])
    text = f"candidate 2learning_rate = 0.0001valid loss {loss:.4f} at epoch 45"
    until(lambda: browser.execute_script(shown) == [text])
