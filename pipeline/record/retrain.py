"""Train again, in a process of its own, with the code of whatever folder is named.

A script, started by its path with a question on standard input: the folder and the configuration.
It asks of the code ``RunConfig``, ``prepare``, ``learn``, ``environment`` and ``trace`` alone, so
that the code of another commit can answer too. The answer is a line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main() -> None:
    """Answer the question on standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not look like an answer
    question = json.load(sys.stdin)
    sys.path[0] = question["code"]  # instead of the folder of this script
    answers.write(json.dumps(answer(question["config"])))
    answers.flush()


def answer(tree: dict[str, Any]) -> dict[str, Any]:
    """Return the lineage and the arrays of the run, to the last bit, or why there are none.

    ``tree`` is its configuration and, of a run that began at the optimum of another, ``start``.
    """
    from pipeline.config.schema import RunConfig
    from pipeline.errors import PipelineError
    from pipeline.record.identity import environment, trace
    from pipeline.run import learn, prepare

    try:
        config = RunConfig.parse({name: tree[name] for name in tree if name != "start"})
    except PipelineError as refusal:
        return {"refused": "code", "message": str(refusal)}
    try:
        outcome = learn(prepare(config), config, **_start(tree))
    except PipelineError as refusal:
        return {"refused": "data", "message": str(refusal)}
    lineage = trace(config, outcome.prepared.data_digest, environment()).model_dump()
    if outcome.trained is None:
        return {"refused": "data", "message": outcome.failure.message, "lineage": lineage}
    arrays = {"theta": outcome.trained.theta, **outcome.trained.curve}
    return {"lineage": lineage, "arrays": {name: a.tolist() for name, a in arrays.items()}}


def _start(tree: dict[str, Any]) -> dict[str, Any]:
    """Return where training is to begin, if the record says so: most code knows of no such run."""
    if "start" not in tree:
        return {}
    import numpy as np

    from pipeline.stages.train import Start

    start = tree["start"]
    return {"start": Start(start["run"], start["l2"], np.array(start["theta"]))}


if __name__ == "__main__":
    main()
