"""A table of more distinct rows than are held: read block by block, as often as is needed."""

from pipeline.stages.blocks.keyed import InMemoryKeyedBlocks, Key, KeyedBlocks

__all__ = ["InMemoryKeyedBlocks", "Key", "KeyedBlocks"]
