"""A table of more distinct rows than are held: read block by block, as often as is needed."""

from pipeline.stages.blocks.encoded import PartBlocks
from pipeline.stages.blocks.keyed import InMemoryKeyedBlocks, Key, KeyedBlocks
from pipeline.stages.blocks.open import read_held, read_table
from pipeline.stages.blocks.pieces import PIECE
from pipeline.stages.blocks.source import BlockRows

__all__ = [
    "PIECE",
    "BlockRows",
    "InMemoryKeyedBlocks",
    "Key",
    "KeyedBlocks",
    "PartBlocks",
    "read_held",
    "read_table",
]
