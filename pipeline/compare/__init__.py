"""What many runs say together: candidates, ties, what explains the loss, findings, a page."""
