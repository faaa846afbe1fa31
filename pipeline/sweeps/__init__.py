"""What stands above many runs: planned, run, resumed, compared, promoted."""
