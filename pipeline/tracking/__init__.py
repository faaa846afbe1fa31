"""MLflow as a projection of the records: the only package that imports it.

``check_address`` refuses hopeless addresses before anything trains, ``open_store`` opens the store
or says in a line why not, ``publish`` projects a record and ``sync`` every record that the store
does not have. Publishing again adds nothing.
"""

from pipeline.tracking.address import check_address
from pipeline.tracking.fetch import fetch, fetch_run
from pipeline.tracking.names import flatten
from pipeline.tracking.publish import Published, close_orphans, kept, publish, sync
from pipeline.tracking.registry import Registry, Version, champion_record
from pipeline.tracking.store import Store, open_store, youngest_run
from pipeline.tracking.summary import Summary, publish_summary

__all__ = [
    "Published",
    "Registry",
    "Store",
    "Summary",
    "Version",
    "champion_record",
    "check_address",
    "close_orphans",
    "fetch",
    "fetch_run",
    "flatten",
    "kept",
    "open_store",
    "publish",
    "publish_summary",
    "sync",
    "youngest_run",
]
