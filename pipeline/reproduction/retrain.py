"""Train again, in a process of its own, with the code of whatever folder is named.

A script, started by its path with a question on standard input: the folder, the configuration, and
where the arrays go. It uses nothing but ``RunConfig.parse`` and ``run``, so that code of another
commit can answer it as well. The answer is a line of JSON.
"""

from __future__ import annotations

import dataclasses
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
    answers.write(json.dumps(answer(question["config"], question["target"])))
    answers.flush()


def answer(tree: dict[str, Any], target: str) -> dict[str, Any]:
    """What the run found out: its lineage, how it ended, and its arrays, which go to ``target``."""
    import numpy as np

    from pipeline.config import RunConfig
    from pipeline.errors import PipelineError
    from pipeline.run import run

    try:
        config = RunConfig.parse(tree)
    except PipelineError as refusal:
        return {"refused": "code", "message": str(refusal)}
    try:
        result = run(config)
    except PipelineError as refusal:
        return {"refused": "data", "message": str(refusal)}
    lineage = dataclasses.asdict(result.lineage)
    del lineage["git_diff"]
    if result.trained is None:
        message = result.failure.message if result.failure else "it was not trained"
        return {"refused": "data", "message": message, "lineage": lineage}
    arrays: dict[str, Any] = {"theta": result.trained.theta, **result.trained.curve}
    np.savez(target, **arrays)
    threads = effective_threads(config.train.blas_threads)
    return {"lineage": lineage, "blas_threads": threads, "status": result.status}


def effective_threads(asked: int) -> int:
    """How many threads NumPy's BLAS takes where it may take so many."""
    from threadpoolctl import threadpool_info, threadpool_limits

    with threadpool_limits(asked, user_api="blas"):
        found = [lib["num_threads"] for lib in threadpool_info() if lib.get("user_api") == "blas"]
    return max(found, default=1)


if __name__ == "__main__":
    main()
