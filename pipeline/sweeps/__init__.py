"""What stands above many runs: planned, made, resumed, compared, promoted."""

import os

# Every run is forked, and idle threads of BLAS, made anew in each child, would spin for 30 ms. How
# many threads train is set where training begins.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
