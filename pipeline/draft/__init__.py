"""A file and the name of its target become the draft of a contract, for a person to edit."""

from pipeline.draft.draft import Draft, draft_contract, safe_name

__all__ = ["Draft", "draft_contract", "safe_name"]
