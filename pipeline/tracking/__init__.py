"""MLflow as a projection of the records: the only package that imports it.

``check_address`` refuses hopeless addresses before anything trains, ``open_store`` opens the store
or says in a line why not, ``publish`` projects a record and ``sync`` every record that the store
does not have. Publishing again adds nothing.
"""

from pipeline.tracking.address import check_address
from pipeline.tracking.publish import Published, kept, publish, sync
from pipeline.tracking.store import Store, experiment_of_latest_run, open_store, store_address

__all__ = [
    "Published",
    "Store",
    "check_address",
    "experiment_of_latest_run",
    "kept",
    "open_store",
    "publish",
    "store_address",
    "sync",
]
