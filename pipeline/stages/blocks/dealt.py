"""A table in blocks, dealt: its parts as the encoder of any model reads them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pipeline.config.contract import DataSettings
from pipeline.config.schema import RunConfig
from pipeline.stages.blocks.checked import check_blocks
from pipeline.stages.blocks.columns import table_of, values_of
from pipeline.stages.blocks.deal import Deal, deal_buckets
from pipeline.stages.blocks.encoded import PartBlocks
from pipeline.stages.blocks.source import BlockRows, Piece
from pipeline.stages.encode import Encoder, encode, find_unseen
from pipeline.stages.split import take
from pipeline.stages.validate import Table


@dataclass(frozen=True)
class DealtBlocks:
    """Rows, which part each is of, and a ``sample`` of all of them."""

    rows: BlockRows
    deal: Deal
    sample: Table

    def part(self, place: int, encoder: Encoder) -> PartBlocks:
        """Return train (0), valid (1) or test (2), encoded; categories that are unknown as zeros.

        A row counts its sample weight, or 1.
        """
        part = self.deal.parts(self.sample, self.rows.survey.sample.dealt)
        table = take(self.sample, np.where(part == place, self.sample.count, 0))
        known = replace(encoder, unseen="zeros")
        rows = encode(known, table, self.rows.path.name)
        return PartBlocks(self.rows, self.deal, place, known, (1.0, 1.0), rows, table)

    def unseen(self, encoder: Encoder) -> dict[str, dict[str, int]]:
        """Return the categories that the encoder does not know with their rows, in one pass."""
        found: dict[str, Counter[str]] = {}
        for of_block in self.rows.map(partial(_unseen_of, encoder, self.rows.data)):
            for name, categories in of_block.items():
                found.setdefault(name, Counter()).update(categories)
        return {name: dict(categories.most_common()) for name, categories in found.items()}


def _unseen_of(encoder: Encoder, data: DataSettings, piece: Piece) -> dict[str, dict[str, int]]:
    return find_unseen(encoder, table_of(values_of(piece, data), piece.part, data))


def deal_blocks(rows: BlockRows, config: RunConfig) -> DealtBlocks:
    """Return the table dealt as the run of this configuration dealt it.

    Raises
    ------
    DataError
        If rows break the contract, naming every violation.
    """
    sample = check_blocks(rows, config.encode.completed(config.data)).require()
    return DealtBlocks(rows, deal_buckets(rows.survey.histogram, config.split), sample)


def undealt(rows: BlockRows, sample: Table) -> DealtBlocks:
    """Return the table as one part, which is train."""
    return DealtBlocks(rows, Deal(None, "all rows"), replace(sample, part=None))
