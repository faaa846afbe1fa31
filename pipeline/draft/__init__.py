"""A file and the name of its target become the draft of a contract, for a person to edit."""

from pipeline.draft.contract_text import contract_path
from pipeline.draft.draft import Draft, draft_contract

__all__ = ["Draft", "contract_path", "draft_contract"]
