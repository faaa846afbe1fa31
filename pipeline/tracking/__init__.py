"""MLflow as a projection of the records: the only package that imports it.

``check_address`` refuses hopeless addresses before anything trains, ``open_store`` opens the store
or says in a line why not, ``publish`` projects a record and ``sync`` every record that the store
does not have. Publishing again adds nothing.
"""

from pipeline.tracking.address import check_address
from pipeline.tracking.fetch import fetch, fetch_run
from pipeline.tracking.process import AT_ONCE, Publisher, PublishRequest
from pipeline.tracking.projection import Summary, thinned
from pipeline.tracking.publication import Published
from pipeline.tracking.publish import publish
from pipeline.tracking.registry import Registry, Version, champion_record
from pipeline.tracking.store import open_store
from pipeline.tracking.sync import Synced, close_orphans, sync

__all__ = [
    "AT_ONCE", "PublishRequest", "Published", "Publisher", "Registry", "Summary", "Synced",
    "Version", "champion_record", "check_address", "close_orphans", "fetch", "fetch_run",
    "open_store", "publish", "sync", "thinned",
]  # fmt: skip
