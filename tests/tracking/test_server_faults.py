"""A server, or what stands before it, that fails at any request: one whole run, at last by sync."""

import shutil
import time

import proxy as faults
import pytest
from builders import make_failed_record, make_record
from proxy import only, proxied
from servers import free_port, mlflow_server

from pipeline import files
from pipeline.config.schema import TrackingSettings
from pipeline.errors import TrackingError
from pipeline.record import published_runs
from pipeline.tracking import Publisher, Synced, fetch_run, open_store, patience, sync
from pipeline.tracking.projection import KEY, OWNER
from pipeline.tracking.publish import publish_to
from pipeline.tracking.view import TAG, write_view

pytestmark = pytest.mark.exhaustive

REQUESTS = ("runs/search", "runs/create", "log-batch", "log-inputs", "PUT", "LIST", "runs/update")
FAULTS = {
    "request lost": faults.lose_request, "reply lost": faults.lose_reply, "200 {}": faults.swallow,
    "500": faults.status(500), "401": faults.status(401), "403": faults.status(403),
    "413": faults.status(413), "429": faults.status(429),
}  # fmt: skip
PASSWORD = "hunter2swordfish"


@pytest.fixture(scope="module")
def port(store_template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    shutil.copy2(store_template, folder / "mlflow.db")
    with mlflow_server(folder, port := free_port()):
        yield port


@pytest.fixture
def proxy(port, project):
    with proxied(port) as proxy:
        yield proxy


@pytest.fixture
def store(proxy, request):
    settings = TrackingSettings(uri=proxy.uri, experiment=request.node.name)
    store = open_store(settings)
    object.__setattr__(store, "settings", settings)
    proxy.seen.clear()
    return store


def runs(store, record) -> list:
    query = f"tags.`{KEY}` = '{record.identity}'"
    return store.client.search_runs([store.experiment_id], query)


def require_one_whole_run(store, record, *, known: bool = True) -> None:
    """``known``: its publisher has heard that it is there."""
    (run,) = runs(store, record)
    assert run.info.status == "FINISHED"
    client, run_id = store.client, run.info.run_id
    assert run.data.params["optimiser.learning_rate"] == "0.1"
    assert run.data.tags["oneuron.data_digest"] == "d" * 64
    assert len(client.get_metric_history(run_id, "train/loss")) == 5
    assert run.inputs.dataset_inputs[0].dataset.name == "tiny"
    if known:
        assert published_runs(record.identity)[store.address.shown].run_id == run_id
    found = fetch_run(run_id, store.settings, record.path.parent)
    assert dict(found.files) == dict(record.files)


def test_a_publication_without_figures_is_at_most_twelve_requests(proxy, store):
    """Seven and one for each file; of a run that stands there, two."""
    record = make_record()
    publish_to(store, record)
    puts = [name for name in proxy.seen if name.startswith("PUT")]
    assert "PUT model/record.zip" in puts
    assert [name for name in proxy.seen if name not in puts] == [
        "POST runs/search", "POST runs/create", "POST runs/log-batch", "POST runs/log-inputs",
        "POST runs/search", "LIST artifacts", "POST runs/update",
    ]  # fmt: skip
    assert len(proxy.seen) <= 12
    proxy.seen.clear()
    publish_to(store, record)
    assert proxy.seen == ["POST runs/search", "LIST artifacts"]
    proxy.seen.clear()
    publish_to(store, make_failed_record())
    assert len(proxy.seen) <= 8


def refused(store, record) -> str:
    """Publish; why not, if not."""
    try:
        publish_to(store, record)
    except TrackingError as refusal:
        return str(refusal)
    return ""


def pairs():
    """Every fault at every request; `make test` takes what stores nothing and what comes twice."""
    for name in REQUESTS:
        for fault in FAULTS:
            quick = fault == "200 {}" or (name, fault) == ("runs/create", "reply lost")
            marks = () if quick else (pytest.mark.exhaustive,)
            yield pytest.param(name, fault, id=f"{name}-{fault}", marks=marks)


@pytest.mark.parametrize(("name", "fault"), list(pairs()))
@pytest.mark.parametrize("times", [2])
def test_a_fault_at_any_request_costs_no_run_and_none_comes_twice(name, fault, times, proxy, store):
    """E06, E07, E09, E10, E12, J07, J08: FINISHED only with the content; sync brings the rest."""
    record = make_record(experiment=store.settings.experiment)
    with proxy.failing(only(name, FAULTS[fault], times)):
        refusal = refused(store, record)
    if refusal:
        assert len(refusal) < 700
    if not refusal or "FINISHED" in {run.info.status for run in runs(store, record)}:
        require_one_whole_run(store, record, known=not refusal)
    sync(files.RUNS, store.settings)
    require_one_whole_run(store, record)
    assert sync(files.RUNS, store.settings) == Synced()


def test_what_stands_there_without_its_content_is_completed_through_a_proxy_that_lies(proxy, store):
    """J07: sync itself is lied to, says so, and repairs the run when the proxy is gone."""
    record = make_record(experiment=store.settings.experiment)
    publish_to(store, record)
    (run,) = runs(store, record)
    store.client.delete_tag(run.info.run_id, "oneuron.data_digest")
    with (
        proxy.failing(only("log-batch", faults.swallow)),
        pytest.raises(TrackingError, match=r"tags without oneuron\.data_digest"),
    ):
        sync(files.RUNS, store.settings)
    assert sync(files.RUNS, store.settings) == Synced(completed=1)
    require_one_whole_run(store, record)


def test_an_experiment_that_is_not_made_is_named(proxy, store):
    """E12: the server says yes, and there is none."""
    settings = TrackingSettings(uri=proxy.uri, experiment="never made")
    with (
        proxy.failing(only("experiments/create", faults.swallow)),
        pytest.raises(TrackingError, match="store must name its experiments; got none"),
    ):
        open_store(settings)


def test_two_runs_of_a_create_whose_replies_were_lost_become_one(proxy, store):
    """J08: nothing came back, so nobody knows of either but by what they are tagged with."""
    record = make_record(experiment=store.settings.experiment)
    with (
        proxy.failing(only("runs/create", faults.lose_reply)),
        pytest.raises(TrackingError, match="ended without an answer"),
    ):
        publish_to(store, record)
    assert [run.info.status for run in runs(store, record)] == ["RUNNING"] * 2
    sync(files.RUNS, store.settings)
    require_one_whole_run(store, record)


def test_who_may_not_delete_closes_what_is_not_needed(proxy, store):
    """A user with permission EDIT: the run is KILLED, and has the key no more."""
    record = make_record(experiment=store.settings.experiment)
    with proxy.failing(only("runs/create", faults.lose_reply)), pytest.raises(TrackingError):
        publish_to(store, record)
    with proxy.failing(only("runs/delete", faults.status(403))):
        sync(files.RUNS, store.settings)
    require_one_whole_run(store, record)
    query = f"tags.`{OWNER}` != ''"
    found = store.client.search_runs([store.experiment_id], query)
    assert sorted(run.info.status for run in found) == ["FINISHED", "KILLED"]


@pytest.mark.parametrize(
    ("code", "cure"),
    [(401, "set MLFLOW_TRACKING_USERNAME"), (403, "EDIT of the experiment to publish"),
     (413, "client_max_body_size")],
)  # fmt: skip
def test_a_refusal_after_the_probe_says_what_helps(code, cure, proxy, store):
    """E09, E10: credentials that ended, a user who may only read, a proxy that takes little."""
    with (
        proxy.failing(only("PUT" if code == 413 else "runs/create", faults.status(code))),
        pytest.raises(TrackingError, match=f"got {code}, .*{cure}"),
    ):
        publish_to(store, make_record())


def test_patience_is_for_silence_and_not_for_work(proxy, project):
    """J09: each request takes longer than the patience divided by their number."""
    settings = TrackingSettings(uri=proxy.uri, experiment="slow")
    proxy.delay_s = 0.5
    with Publisher(settings) as publisher:
        publisher._patience = 4.0
        assert publisher.publish(make_record()).new
        assert len(proxy.seen) * proxy.delay_s > publisher._patience


@pytest.mark.exhaustive
def test_a_server_that_checks_passwords_slowly_is_published_to(proxy, project):
    """J09: MLflow's own basic-auth takes 1.35 to 1.6 s a request on two cores."""
    proxy.delay_s = 1.6
    with Publisher(TrackingSettings(uri=proxy.uri, experiment="slower")) as publisher:
        assert publisher.publish(make_record()).new


def test_a_server_that_drips_is_left(proxy, store, monkeypatch):
    """A byte now and then: no limit of silence ever ends it, that of the whole does."""
    record = make_record(experiment=store.settings.experiment)
    monkeypatch.setattr(store.client, "_limit_s", 2.0)
    with proxy.failing(only("log-batch", faults.drip)):
        begun = time.monotonic()
        with pytest.raises(TrackingError, match="no whole answer in time"):
            publish_to(store, record)
        assert time.monotonic() - begun < 10
    sync(files.RUNS, store.settings)
    require_one_whole_run(store, record)


def test_whoever_waits_hears_that_a_call_goes_on(monkeypatch):
    heard = []
    monkeypatch.setattr(patience, "LISTENERS", [lambda: heard.append(1)])
    monkeypatch.setattr(patience, "BEAT_S", 0.05)
    assert patience.within(5.0, lambda: time.sleep(0.3)) is None
    assert len(heard) >= 3
    with pytest.raises(TimeoutError, match="no whole answer within 0 s"):
        patience.within(0.1, time.sleep, 1)


@pytest.mark.parametrize(
    ("uri", "command"),
    [
        (f"http://me:{PASSWORD}@127.0.0.1:9",
         "MLFLOW_TRACKING_USERNAME=… MLFLOW_TRACKING_PASSWORD=… "
         'make sync ARGS="tracking.uri=http://127.0.0.1:9"'),
        ("http://127.0.0.1:9", 'make sync ARGS="tracking.uri=http://127.0.0.1:9"'),
        (f"postgresql://me:{PASSWORD}@127.0.0.1:9/db",
         "TRACKING_URI=… make sync ARGS='tracking.uri=$${oc.env:TRACKING_URI}'"),
    ],
)  # fmt: skip
def test_the_command_for_later_can_be_typed_and_has_no_password(uri, command, project):
    from pipeline.tracking import publish

    with pytest.raises(TrackingError) as refusal:
        publish(make_record(), TrackingSettings(uri=uri, experiment="e"))
    assert str(refusal.value).endswith(f"publish it with: {command}")
    assert PASSWORD not in str(refusal.value)


def test_the_view_of_an_experiment_costs_two_requests_and_no_run(proxy, store):
    publish_to(store, make_record())
    proxy.seen.clear()
    assert write_view(store)
    assert len(proxy.seen) == 2
    written = store.client.get_experiment(store.experiment_id).tags[TAG]
    for name, fault in (
        ("set-experiment-tag", faults.status(403)),
        ("runs/search", faults.status(500)),
    ):
        with proxy.failing(only(name, fault)):
            assert not write_view(store)
    assert store.client.get_experiment(store.experiment_id).tags[TAG] == written
