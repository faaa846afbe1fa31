"""A table in blocks is the same run as its rows in memory: encoder, optimum, figures, messages."""

import dataclasses
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from blocks_tables import COLUMNS, config_of, finished, make_rows, part_of, write_parquet
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from nn import Examples, examine
from pipeline.config.schema import RunConfig
from pipeline.errors import DataError
from pipeline.run import learn, prepare
from pipeline.stages.blocks import BlockRows, PartBlocks
from pipeline.stages.blocks.open import read_table
from pipeline.stages.encode import Standard
from pipeline.stages.outcome import Finished, Prepared, Refused
from pipeline.stages.read import Rows

N = 6000


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A table dealt to three files, the first of two row groups of unequal size and more."""
    folder = tmp_path_factory.mktemp("parts")
    rows, part = make_rows(N), np.random.default_rng(9).choice(3, N, p=[0.6, 0.2, 0.2])
    names = ("path", "valid", "test")
    return {
        name: write_parquet(folder / f"{name}.parquet", part_of(rows, part == i), 700)
        for i, name in enumerate(names)
    }


def by_files(parts: dict[str, str], max_distinct: int | None, **changes: object) -> RunConfig:
    data = parts | {"max_distinct": max_distinct}
    return config_of(parts["path"], data=data, split={"name": "files"}, **changes)


@pytest.fixture(scope="module")
def both(parts: dict[str, str]) -> tuple[Finished, Finished]:
    return finished(by_files(parts, None)), finished(by_files(parts, 0))


def test_blocks_are_used_where_more_rows_differ_and_only_there(parts: dict[str, str]):
    config = by_files(parts, None)
    for bound, in_blocks in ((0, True), (N - 1, True), (N, False), (None, False)):
        data = config.data.model_copy(update={"max_distinct": bound})
        assert isinstance(read_table(data), BlockRows) == in_blocks


def test_the_encoder_is_that_of_rows_in_memory(both: tuple[Finished, Finished]):
    held, streamed = (outcome.prepared.encoder for outcome in both)
    assert streamed.inputs == held.inputs
    for a, b in zip(held.blocks, streamed.blocks, strict=True):
        if isinstance(a, Standard) and isinstance(b, Standard):
            assert b.mean + b.rest == pytest.approx(a.mean + a.rest, rel=1e-12)
            assert b.deviation == pytest.approx(a.deviation, rel=1e-12)
            assert dataclasses.replace(b, mean=0, deviation=0, rest=0) == dataclasses.replace(
                a, mean=0, deviation=0, rest=0
            )
        else:
            assert a == b


def test_the_sums_of_a_pass_are_those_of_rows_in_memory(both: tuple[Finished, Finished]):
    theta = np.linspace(-0.5, 0.5, len(both[0].trained.theta))
    for name in ("train", "valid", "test"):
        held, streamed = (getattr(outcome.prepared, name) for outcome in both)
        assert isinstance(held, Examples)
        assert isinstance(streamed, PartBlocks)
        for a, b in zip(
            examine(theta, held, 0.1, curvature=True),
            examine(theta, streamed, 0.1, curvature=True),
            strict=True,
        ):
            assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_the_optimum_and_its_certificate_are_those_of_rows_in_memory(
    both: tuple[Finished, Finished],
):
    held, streamed = both
    assert_allclose(streamed.trained.theta, held.trained.theta, rtol=1e-10, atol=1e-10)
    assert held.certificate.verdict == streamed.certificate.verdict == "converged"
    assert streamed.certificate.optimum == pytest.approx(held.certificate.optimum, rel=1e-13)
    assert streamed.certificate.bound is not None
    assert 0 <= streamed.certificate.bound < 1e-9


def test_the_figures_are_those_of_rows_in_memory(both: tuple[Finished, Finished]):
    held, streamed = (outcome.evaluation for outcome in both)
    assert streamed.confusion == held.confusion
    for name in ("log_loss", "brier", "accuracy"):
        assert streamed.metrics[name] == pytest.approx(held.metrics[name], rel=1e-10)
    assert streamed.metrics["roc_auc"] == pytest.approx(held.metrics["roc_auc"], abs=1e-6)


def test_the_profile_is_that_of_rows_in_memory(both: tuple[Finished, Finished]):
    held, streamed = (outcome.prepared.validation for outcome in both)
    assert (streamed.n_rows, streamed.n_positive) == (held.n_rows, held.n_positive)
    assert streamed.n_distinct == pytest.approx(N, rel=0.01)
    for a, b in zip(held.profile, streamed.profile, strict=True):
        assert (a.name, a.kind, a.n_missing, a.categories) == (
            b.name, b.kind, b.n_missing, b.categories,
        )  # fmt: skip
        assert (b.minimum, b.maximum) == (a.minimum, a.maximum)
        assert b.mean == (None if a.mean is None else pytest.approx(a.mean, rel=1e-12))


@pytest.mark.exhaustive
def test_bits_depend_on_no_number_of_threads(
    parts: dict[str, str], both: tuple[Finished, Finished], monkeypatch: pytest.MonkeyPatch
):
    for n in (1, 4):
        monkeypatch.setenv("ONEURON_THREADS", str(n))
        again = finished(by_files(parts, 0))
        assert again.trained.theta.tobytes() == both[1].trained.theta.tobytes()
        assert again.prepared.data_digest == both[1].prepared.data_digest


@pytest.mark.exhaustive
def test_another_order_of_rows_is_other_data_and_the_same_optimum(tmp_path: Path):
    rows = make_rows(N)
    order = np.random.default_rng(1).permutation(N)
    one, other = (
        finished(config_of(write_parquet(tmp_path / f"{i}.parquet", part_of(rows, which), 900)))
        for i, which in enumerate((np.arange(N), order))
    )
    assert one.prepared.data_digest != other.prepared.data_digest
    assert one.prepared.dealing == other.prepared.dealing
    assert_allclose(one.trained.theta, other.trained.theta, rtol=1e-11, atol=1e-12)


def test_prepared_blocks_can_be_pickled(both: tuple[Finished, Finished]):
    train = both[1].prepared.train
    again = pickle.loads(pickle.dumps(train))
    theta = np.zeros(train.d + 1)
    assert examine(theta, again).gradient.tobytes() == examine(theta, train).gradient.tobytes()


@pytest.mark.exhaustive
def test_a_file_that_changes_between_passes_is_refused_in_one_line(tmp_path: Path):
    path = tmp_path / "t.parquet"
    config = config_of(write_parquet(path, make_rows(3000)))
    prepared = prepare(config)
    assert isinstance(prepared, Prepared)
    write_parquet(path, make_rows(3000, seed=1))
    outcome = learn(prepared, config)
    assert outcome.status == "FAILED"
    assert outcome.failure.exit_code == DataError.exit_code
    assert "must not change while it is read; it did: run again" in outcome.failure.message
    assert outcome.failure.traceback is None


def test_a_truncated_file_is_refused(tmp_path: Path):
    path = tmp_path / "t.parquet"
    config = config_of(write_parquet(path, make_rows(3000)))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + content[-5000:])
    with pytest.raises(DataError, match="must be an intact parquet file; got"):
        read_table(config.data).digest  # noqa: B018


BROKEN = {
    "x": (np.inf, "column x must be a number; got 'inf' in 3 rows"),
    "whole": (-5, "column whole must be at least 0; got '-5' in 3 rows"),
    "word": ("", "column word must not be missing; got '' in 3 rows"),
    "y": ("maybe", "column y must be one of no, yes; got 'maybe' in 3 rows"),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", BROKEN)
def test_rows_that_break_the_contract_are_refused_in_the_same_words(tmp_path: Path, name: str):
    rows = make_rows(3000)
    value, message = BROKEN[name]
    rows[name] = rows[name].astype(object if isinstance(value, str) else rows[name].dtype)
    rows[name][[5, 1500, 2999]] = value
    path = write_parquet(tmp_path / "t.parquet", rows)
    held, streamed = (prepare(config_of(path, data={"max_distinct": bound})) for bound in (None, 0))
    assert isinstance(held, Refused)
    assert isinstance(streamed, Refused)
    assert held.failure.message.startswith(message)
    assert streamed.failure.message == held.failure.message
    assert "lines 6, 1501, 3000" in streamed.failure.message
    assert streamed.validation is not None
    assert held.validation is not None
    assert streamed.validation.violations == held.validation.violations


@pytest.mark.exhaustive
def test_the_parts_have_their_shares_of_each_class(tmp_path: Path):
    path = write_parquet(tmp_path / "t.parquet", make_rows(N))
    seeds = []
    for seed in (0, 1):
        prepared = prepare(config_of(path, split={"name": "stratified", "seed": seed}))
        assert isinstance(prepared, Prepared)
        assert_allclose(prepared.sizes, [0.6 * N, 0.2 * N, 0.2 * N], atol=6)
        assert prepared.dealing.rule.startswith("by the first 22 bits of a hash of each row's")
        seeds.append(examine(np.zeros(prepared.train.d + 1), prepared.train).loss)
        assert prepared.train_share == pytest.approx(
            prepared.validation.n_positive / N, abs=2 / N + 1e-9
        )
    assert prepared.valid is not None


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("split", "sizes"),
    [
        ({"name": "folds", "folds": 4, "fold": 1}, (0.6, 0.2, 0.2)),
        ({"name": "none"}, (1.0, 0.0, 1.0)),
    ],
)
def test_other_splits_deal_their_shares(tmp_path: Path, split: dict, sizes: tuple):
    path = write_parquet(tmp_path / "t.parquet", make_rows(N))
    prepared = prepare(config_of(path, split=split))
    assert isinstance(prepared, Prepared)
    assert_allclose(prepared.sizes, np.array(sizes) * N, atol=6)


@pytest.mark.exhaustive
def test_groups_are_dealt_whole(tmp_path: Path):
    rows = make_rows(N)
    rows["who"] = np.array([f"p{i}" for i in np.random.default_rng(2).integers(0, 900, N)])
    columns = COLUMNS | {"who": {"kind": "group"}}
    path = write_parquet(tmp_path / "t.parquet", rows)
    config = config_of(path, columns=columns, split={"name": "group"})
    prepared = prepare(config)
    assert isinstance(prepared, Prepared)
    keys = [
        {*np.concatenate([*part.map_keyed(_keys)]).tolist()}
        for part in (prepared.train, prepared.valid, prepared.test)
    ]
    assert sum(map(len, keys)) == len(set.union(*keys)) == len({*rows["who"]})


def _keys(_: Examples, key: np.ndarray) -> np.ndarray:
    return key


# --- CSV -----------------------------------------------------------------------------------------


def write_csv(path: Path, rows: dict) -> str:
    frame = pd.DataFrame(rows)
    frame["day"] = frame["day"].dt.strftime("%Y-%m-%d")
    frame["flag"] = frame["flag"].map({True: "true", False: "false"})
    frame.to_csv(path, index=False)
    return str(path)


@pytest.mark.exhaustive
def test_a_csv_file_is_the_run_of_the_parquet_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (scratch := tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    rows = make_rows(N)
    paths = write_csv(tmp_path / "t.csv", rows), write_parquet(tmp_path / "t.parquet", rows, N)
    text, typed = (finished(config_of(path)) for path in paths)
    assert text.prepared.data_digest == typed.prepared.data_digest
    assert text.trained.theta.tobytes() == typed.trained.theta.tobytes()
    assert [*scratch.iterdir()] == []  # the file has no name, so that a kill leaves none behind


@pytest.mark.parametrize(("cell", "rule"), [("many", "must be a number"), ("-5", "at least 0")])
def test_cells_of_csv_that_break_the_contract_are_refused_in_the_same_words(
    tmp_path: Path, cell: str, rule: str
):
    rows = make_rows(3000)
    rows["whole"] = rows["whole"].astype(object)
    rows["whole"][[5, 1500, 2999]] = cell
    path = write_csv(tmp_path / "t.csv", rows)
    held, streamed = (prepare(config_of(path, data={"max_distinct": m})) for m in (None, 0))
    assert isinstance(held, Refused)
    assert isinstance(streamed, Refused)
    assert rule in held.failure.message
    assert streamed.failure.message == held.failure.message


def test_a_csv_file_whose_rows_repeat_is_counted(tmp_path: Path):
    rows = part_of(make_rows(300), np.arange(300).repeat(20))
    data = config_of(write_csv(tmp_path / "t.csv", rows), data={"max_distinct": 300}).data
    assert isinstance(read_table(data), Rows)
    assert isinstance(read_table(data.model_copy(update={"max_distinct": 299})), BlockRows)


def test_the_optimum_is_scikit_learns_on_the_long_table(tmp_path: Path):
    rows = make_rows(N)
    columns = {"x": {"kind": "numeric"}, "whole": {"kind": "numeric"}}
    used = {name: rows[name] for name in ("x", "whole", "y")}
    config = config_of(
        write_parquet(tmp_path / "t.parquet", used), columns=columns, split={"name": "none"}
    )
    theta = finished(config).trained.theta
    X = StandardScaler().fit_transform(np.column_stack([rows["x"], rows["whole"]]))
    model = LogisticRegression(C=1 / (N * 0.001), tol=1e-12, max_iter=1000)
    model.fit(X, rows["y"] == "yes")
    assert_allclose(theta, [*model.coef_[0], *model.intercept_], rtol=1e-6)
