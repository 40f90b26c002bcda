import os

import pytest
from sklearn.datasets import load_digits

from sklearn_mi.training import net

# No test opens a window; set before anything imports matplotlib.
os.environ.setdefault("MPLBACKEND", "Agg")

# RECORD_FROM=1 on a machine with a GPU: fits of a few steps are recorded as CUDA graphs as well, so
# that every test of the learner runs on that path.
net.WORTH_RECORDING = int(os.environ.get("RECORD_FROM", net.WORTH_RECORDING))


@pytest.fixture(scope="session")
def digits():
    """Rows and labels of scikit-learn's digits: (1797, 64) values of 0 to 16, ten classes."""
    return load_digits(return_X_y=True)
