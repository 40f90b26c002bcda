"""One model trained by several processes: the script is that of one process.

    torchrun --nproc-per-node 2 examples/distributed.py
    python examples/distributed.py

Each process has the same rows, takes its share of every batch, and gathers the codes of the others,
so ``batch_size`` counts the rows of all and the codes are those of one process. On a machine with
GPUs, each process takes one.
"""

import os

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from sklearn_mi import MIRepresentationLearner

X, y = load_digits(return_X_y=True)
learner = MIRepresentationLearner(n_components=16, max_steps=200, random_state=0).fit(X)
accuracy = cross_val_score(LogisticRegression(max_iter=1000), learner.transform(X), y).mean()

n_processes = int(os.environ.get("WORLD_SIZE", 1))
if int(os.environ.get("RANK", 0)) == 0:
    word = "process" if n_processes == 1 else "processes"
    print(f"{n_processes} {word}: accuracy {accuracy:.3f}, {learner.mi_}")
