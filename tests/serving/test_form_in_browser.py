"""A browser shows the form of a model, on a phone as on a desk, and it answers as it is typed."""

import contextlib
import json
import math
import threading
import time

import pandas as pd
import pytest
import serving_builders as made
from builders import CONFIG, make_environment

from pipeline.config.schema import RunConfig
from pipeline.record import write
from pipeline.report.form import form_page
from pipeline.run import learn, prepare
from pipeline.serving.app import app
from pipeline.serving.guard import HOST, guarded, listen, own_origins
from pipeline.serving.service import Service

pytestmark = pytest.mark.exhaustive

HOSTILE = '"><script>document.title="run"</script><b>'
LONG = "measurement_of_the_sensor_in_the_north_eastern_building_averaged_over_a_week"


def make_record(folder, columns, cells, target="yes"):
    """A finished run of a table that these cells make, each column over and over."""
    n = 240
    frame = pd.DataFrame({name: [v[i % len(v)] for i in range(n)] for name, v in cells.items()})
    frame["class"] = [target if i % 3 else "no" for i in range(n)]
    path = folder / "t.csv"
    frame.to_csv(path, index=False)
    data = {
        "name": "kinds", "path": str(path), "target": {"name": "class", "positive": [target]},
        "columns": columns, "card": {"limits": f"Only for tests. {HOSTILE}"},
    }  # fmt: skip
    tree = CONFIG | {"data": data, "optimiser": {"name": "newton"}, "evaluate": {"bootstrap": None}}
    config = RunConfig.parse(tree)
    return write(learn(prepare(config), config), folder / "runs", here=make_environment())


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    cells = {
        "colour": ["red", "blue", "green", "red"], "code": ["1", "2", "3"],
        "size": ["s", "m", "", "l", "m"], "x": [*map(str, range(0, 101, 7))],
        "w": ["0.5", "1.5", "", "2.5", "0.1"], "ok": ["true", "false"],
        "flag": ["yes", "no", ""], "seen": ["31.12.2023", "", "01.02.2023", "07.07.2022"],
        "day": [f"2024-{m:02}-{d:02}" for m in range(1, 13) for d in range(1, 29)],
    }  # fmt: skip
    kinds = {name: column for name, column in made.COLUMNS.items() if name in cells}
    hostile = {HOSTILE: [f"{HOSTILE}{i}" for i in range(3)], LONG: [LONG, f"{LONG * 2}"]}
    words = {name: {"kind": "categorical"} for name in hostile}
    folder = tmp_path_factory.mktemp
    return {
        "kinds": make_record(folder("kinds"), kinds, cells),
        "hostile": make_record(folder("hostile"), words, hostile, target=HOSTILE),
    }


@pytest.fixture(scope="module")
def served(records):
    """The address of each form."""
    import uvicorn

    with contextlib.ExitStack() as stack:
        places = {}
        for kind, record in records.items():
            listening = stack.enter_context(listen(0))
            port = listening.getsockname()[1]
            service = Service(record.model, form_page(record, record.model))
            config = uvicorn.Config(guarded(app(service), own_origins(port)), log_level="critical")
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, args=([listening],))
            thread.start()
            stack.callback(thread.join)
            stack.callback(setattr, server, "should_exit", True)
            places[kind] = f"http://{HOST}:{port}/"
        yield places


@pytest.fixture
def opened(browser, served):
    def at(kind="kinds", width=1280, dark=False):
        size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        browser.get_log("browser")
        browser.get_log("performance")
        browser.get(served[kind])
        return browser

    return at


def until(condition):
    deadline = time.monotonic() + 30
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def value(page, place):
    return float(page.execute_script(f"return document.querySelector('{place}').value"))


def set_field(page, name, text):
    """Set a field as a person does who types into it."""
    page.execute_script(
        "const field = document.querySelector(`[name='${arguments[0]}']`);"
        "field.value = arguments[1];"
        "field.dispatchEvent(new Event('input', {bubbles: true}));",
        name, text,
    )  # fmt: skip


ELEMENTS = "[...document.querySelectorAll('body *')].filter(e => !e.closest('svg'))"
BROAD = f"""
const width = document.documentElement.clientWidth;
return [document.documentElement, ...{ELEMENTS}]
  .filter(e => e.getBoundingClientRect().right > width + 1)
  .map(e => e.outerHTML.slice(0, 99))
"""
UNNAMED = """
return [...document.querySelectorAll('input, select, meter')]
  .filter(e => !(e.labels?.length && e.labels[0].textContent) && !e.ariaLabel)
  .map(e => e.outerHTML)
"""
CONTRAST = """
const light = text => {
  const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map(c => c / 255)
    .map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
const behind = e => {
  const colour = getComputedStyle(e).backgroundColor;
  return colour.endsWith(', 0)') ? (e.parentElement ? behind(e.parentElement) : 'rgb(255,255,255)')
    : colour;
};
return Math.min(...[...document.querySelectorAll('body *')].filter(
  e => [...e.childNodes].some(n => n.nodeType == 3 && n.textContent.trim())
).map(e => {
  const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
  return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
}))
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("kind", ["kinds", "hostile"])
def test_the_form_fits_the_window_reads_well_and_loads_nothing_else(opened, kind, width, dark):
    page = opened(kind, width, dark)
    until(lambda: page.execute_script(BROAD) == [])  # the size of the window comes a bit later
    assert page.execute_script(UNNAMED) == []
    assert page.execute_script(CONTRAST) >= 4.5
    assert page.execute_script("return document.scripts.length") == 1
    assert page.title.startswith("Ask one neuron")
    messages = [json.loads(line["message"])["message"] for line in page.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"].endswith("WillBeSent")]
    names = {url.rpartition("/")[2] for url in urls if url.startswith("http")}
    assert names <= {"", "form.css", "form.js", "favicon.ico"}
    assert all(url.startswith((f"http://{HOST}:", "data:", "chrome")) for url in urls)
    refused = [line for line in page.get_log("browser") if "favicon" not in line["message"]]
    assert refused == []


def test_what_is_broader_would_be_seen(opened):
    """The negative control of the test above."""
    page = opened("hostile", 390)
    page.execute_script(
        "document.documentElement.style.width = '2000px'; document.body.style.maxWidth = 'none'"
    )
    assert page.execute_script(BROAD) != []


def test_the_bars_add_up_to_the_logit_of_the_probability(opened):
    page = opened()
    found = page.execute_script("return [...document.querySelectorAll('.term')].map(e => +e.value)")
    assert len(found) == 11  # nine columns, one of them two parts, and the bias
    logit = value(page, "#logit")
    assert math.fsum(found) == pytest.approx(logit, abs=1e-12)
    assert 1 / (1 + math.exp(-logit)) == pytest.approx(value(page, "#probability"), rel=1e-12)


def test_the_answer_follows_what_is_typed(opened, records):
    page = opened()
    before = value(page, "#probability")
    set_field(page, "x", "99")
    until(lambda: value(page, "#probability") != before)
    set_field(page, "size", "")
    cells = page.execute_script("return Object.fromEntries(new FormData(document.forms[0]))")
    assert (cells["x"], cells["size"]) == ("99", "")
    model = records["kinds"].model
    body = json.dumps({"inputs": [cells]}).encode()
    client = made.Client(model)
    until(
        lambda: (
            value(page, "#probability")
            == pytest.approx(client.predictions(body)[0]["probability"], rel=1e-15)
        )
    )


def test_a_wrong_value_has_the_contracts_rule_beside_its_field(opened):
    page = opened()
    set_field(page, "x", "<b>abc")
    shown = (
        "const field = document.querySelector('[name=x]');"
        "return [field.ariaInvalid, document.getElementById(field.id + 'e').textContent]"
    )
    assert until(lambda: page.execute_script(shown)[1]) == "must be a number"
    assert page.execute_script(shown)[0] == "true"
    assert "No answer" in page.find_element("id", "answer").text
    set_field(page, "x", "101")
    until(lambda: page.execute_script(shown)[1] == "must be at most 100")
    set_field(page, "x", "100")
    until(lambda: page.execute_script(shown) == [None, ""])
    assert value(page, "#probability") >= 0


def test_it_answers_without_a_script_too(opened):
    page = opened()
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.refresh()
        field = page.find_element("name", "x")
        field.clear()
        field.send_keys("1000")
        page.find_element("css selector", "button").click()
        until(lambda: "must be at most 100" in page.page_source)
        assert page.find_element("name", "x").get_attribute("value") == "1000"
    finally:
        page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_names_and_words_are_text_whatever_they_hold(opened, records):
    page = opened("hostile")
    assert "script" in page.find_element("css selector", "label").text
    assert page.execute_script("return document.querySelectorAll('main b').length") == 0
    set_field(page, LONG, f"{LONG * 2}")
    assert page.title.startswith("Ask one neuron")
