"""The view that MLflow's page of an experiment opens with."""

import base64
import json
import zlib

import pytest
from builders import make_environment, make_finished, make_record
from servers import free_port

from pipeline.config.schema import TrackingSettings
from pipeline.record import write
from pipeline.tracking import open_store, publish
from pipeline.tracking.address import check_address
from pipeline.tracking.sqlite import varied_params
from pipeline.tracking.store import Store
from pipeline.tracking.view import MAX_AXES, TAG, link, shared_view, varying, view_state, write_view


def state_of(tag: str) -> dict:
    """What the page makes of the tag: its script inflates what follows "deflate;"."""
    packed = json.loads(tag)["state"].removeprefix("deflate;")
    return json.loads(zlib.decompress(base64.b64decode(packed)))


# --- what varies -----------------------------------------------------------------------------


def test_what_varies_is_what_has_several_values_and_the_seed_is_last():
    runs = [
        {"seed": seed, "encode.bins": bins, "train.epochs": "9", "split.name": "none"}
        for seed in "01"
        for bins in ("4", "8")
    ]
    assert varying(runs) == ["encode.bins", "seed"]
    assert varying(runs[:1]) == varying([]) == []


def test_what_follows_from_a_choice_of_its_group_is_no_axis():
    """The decay has a value where the optimiser is momentum; the rate varies by itself."""
    runs = [
        {"optimiser.name": "momentum", "optimiser.decay": "0.9", "optimiser.learning_rate": rate}
        for rate in ("0.1", "1.0")
    ]
    runs += [{"optimiser.name": "newton", "optimiser.damping": "0"}]
    assert varying(runs) == ["optimiser.learning_rate", "optimiser.name"]
    zipped = [{"optimiser.learning_rate": n, "train.epochs": n} for n in "12"]
    assert len(varying(zipped)) == 2  # the control: of two groups both were chosen


def test_what_changes_no_neuron_is_no_axis():
    runs = [
        {"data.name": name, "data.columns.a.kind": name, "evaluate.bootstrap": name}
        for name in ("cars", "ships")
    ]
    assert varying(runs) == ["data.name"]


def test_axes_of_a_sweep_whose_youngest_runs_agree_on_them_are_axes_all_the_same():
    runs = [{"optimiser.name": "adam", "train.l2": "0.1", "seed": seed} for seed in "0123"]
    assert varying(runs, {"optimiser", "seed"}) == ["optimiser.name", "seed"]


def test_a_chart_has_few_axes_the_seed_among_them():
    runs = [{f"train.t{i:02}": f"{i} {n}" for i in range(30)} | {"seed": n} for n in "012"]
    independent = [
        {name: value + str(hash((name, i)) % 2) for name, value in run.items()}
        for i, run in enumerate(runs * 9)
    ]
    found = varying(independent)
    assert len(found) == MAX_AXES
    assert found[-1] == "seed"


def test_what_varies_in_a_file_is_what_varies_among_all_its_finished_runs(settings, tiny_config):
    """The oracle reads every parameter of every run through MLflow."""
    for rate, seed in ((0.1, 0), (0.2, 0), (0.2, 1)):
        tiny_config["optimiser"]["learning_rate"], tiny_config["seed"] = rate, seed
        outcome = make_finished(config=tiny_config)
        publish(write(outcome, here=make_environment()), settings)
    store = open_store(settings)
    runs = store.client.search_runs([store.experiment_id])
    assert len(runs) == 3
    store.client.create_run(store.experiment_id)  # runs still
    several = {
        name for run in runs for name in run.data.params
        if len({each.data.params[name] for each in runs}) > 1
    }  # fmt: skip
    found = varied_params(store.address.path, store.experiment_id)
    assert {name for run in found for name in run} == several
    assert several == {"optimiser.learning_rate", "seed"}
    expected = [{name: run.data.params[name] for name in several} for run in runs]
    assert sorted(sorted(run.items()) for run in found) == sorted(
        sorted(run.items()) for run in expected
    )


# --- the view --------------------------------------------------------------------------------


def test_the_first_chart_holds_both_losses_and_the_table_is_sorted_by_the_validation_loss():
    state = view_state(["encode.bins", "seed"])
    first, second, third = state["compareRunCharts"]
    assert first["selectedMetricKeys"] == ["valid/loss", "train/loss"]
    assert second["selectedMetricKeys"] == ["test/log_loss", "test/baseline_log_loss"]
    assert third["selectedParams"] == ["encode.bins", "seed"]
    assert third["selectedMetrics"] == ["valid/best_loss"]
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`valid/best_loss`", True)
    columns = {"params.`encode.bins`", "params.`seed`", "tags.`oneuron.verdict`"}
    assert columns < set(state["selectedColumns"])
    assert set(state["columnOrder"]) - {"attributes.`Run Name`"} == set(state["selectedColumns"])
    sections = {section["uuid"] for section in state["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} <= sections


def test_a_penalty_that_may_be_a_word_is_drawn_as_the_number_that_it_came_to():
    chart = view_state(["seed", "train.l2"])["compareRunCharts"][2]
    assert (chart["selectedParams"], chart["selectedMetrics"]) == (
        ["seed"],
        ["l2", "valid/best_loss"],
    )


def test_the_same_runs_give_the_same_tag_and_it_is_a_view_of_the_page(settings):
    publish(make_record(), settings)
    store = open_store(settings)

    def tag() -> str:
        assert write_view(store)
        return store.client.get_experiment(store.experiment_id).tags[TAG]

    first = tag()
    assert tag() == first
    assert state_of(first) == view_state([])
    assert len(shared_view([f"{'n' * 250}{i}" for i in range(MAX_AXES)])) < 5000  # of any MLflow


def test_a_store_that_does_not_answer_leaves_the_view_as_it_is():
    settings = TrackingSettings(experiment="tiny", uri=f"http://127.0.0.1:{free_port()}")
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=settings.uri)
    assert not write_view(Store(client, check_address(settings), "1"))


@pytest.mark.parametrize("has_view", [True, False])
def test_without_the_view_the_link_opens_the_charts_that_mlflow_draws(has_view):
    assert ("viewStateShareKey=oneuron" in link("7", has_view=has_view)) is has_view
    assert "compareRunsMode=CHART" in link("7", has_view=has_view)
