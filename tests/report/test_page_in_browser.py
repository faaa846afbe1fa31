"""A browser shows the page of a run, offline and without a script, on a phone as on a desk."""

from dataclasses import replace

import builders
import pytest

from pipeline.record import write
from pipeline.report.views import PAGE, write_views
from pipeline.stages.explain import Effect, Effects, Importance
from pipeline.stages.validate.violations import Violation

pytestmark = pytest.mark.exhaustive
LONG = "measurement_of_the_sensor_in_the_north_eastern_building_averaged_over_a_week"


def refused():
    violation = Violation(LONG, "must be low", 3, 0.15, ((LONG * 3, 2),), tuple(range(20)), LONG)
    validation = builders.make_validation(violations=(violation,), warnings=(LONG * 5,))
    prepared = replace(builders.make_refused().prepared, validation=validation)
    return builders.make_refused(prepared=prepared)


def wide():
    """Sixty columns of long names, intervals far beyond their effects."""
    names = [f"{LONG}_{i}" for i in range(60)]
    found = tuple(
        Effect(
            attribute=name, label="per deviation", log_odds=i - 30.5, standard_error=1e3,
            odds_ratio=1.0, low=-1e5, high=None if i % 9 else 2e5,
        )
        for i, name in enumerate(names)
    )  # fmt: skip
    ranking = tuple(Importance(name, 1.0 / (i + 1)) for i, name in enumerate(names))
    config = builders.CONFIG | {"data": builders.CONFIG["data"] | {"name": LONG, "path": LONG}}
    return builders.make_finished(config=config, effects=Effects(found, ranking, 0.3))


OUTCOMES = {
    "finished": builders.make_finished, "refused": refused, "stopped": builders.make_stopped,
    "wide": wide,
}  # fmt: skip


@pytest.fixture(scope="module")
def shown(browser, tmp_path_factory):
    def opened(outcome, width: int):
        record = write(outcome, tmp_path_factory.mktemp("runs"), here=builders.make_environment())
        write_views(record)
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False},
        )
        browser.get_log("browser")
        browser.get((record.path / PAGE).as_uri())
        return browser

    return opened


ELEMENTS = "[...document.querySelectorAll('body *')].filter(e => !e.closest('svg'))"
BROAD = f"""
document.querySelectorAll('details').forEach(each => each.open = true);
const width = document.documentElement.clientWidth;
const scrolls = e => e.scrollWidth > Math.max(e.clientWidth, 1) && e.clientWidth > 0
  && getComputedStyle(e).display != 'inline';
return [document.documentElement, ...{ELEMENTS}]
  .filter(e => e.getBoundingClientRect().right > width + 1 || scrolls(e))
  .map(e => e.outerHTML.slice(0, 99))
"""
TEXT = f"return Math.min(...{ELEMENTS}.map(e => parseFloat(getComputedStyle(e).fontSize)))"
IMAGES = "return [...document.images].map(i => i.complete && i.naturalWidth)"


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("kind", OUTCOMES)
def test_nothing_is_broader_than_the_window_or_too_small_to_read(shown, kind, width):
    page = shown(OUTCOMES[kind](), width)
    assert page.execute_script(BROAD) == []
    assert page.execute_script(TEXT) >= 12
    images = page.execute_script(IMAGES)
    assert all(images)
    assert bool(images) == (kind != "refused")
    assert page.get_log("browser") == []  # the policy of the page refuses nothing of it


def test_what_is_broader_would_be_seen(shown):
    """The negative control of the test above."""
    page = shown(refused(), 390)
    page.execute_script("document.body.style.overflowWrap = 'normal'")
    assert page.execute_script(BROAD) != []
