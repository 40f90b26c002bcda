"""Figure 4c: with dependent batches both bounds exceed the mutual information.

The digitised curve is one run's training bound, smoothed; ours is a mean over 100 new batches.
"""

from curves import Panel, lines, main

from sklearn_mi.datasets import toy_ceiling, toy_true_mi

CELLS = {
    "NCE non-iid": {"objective": "infonce", "iid": False},
    "NWJ non-iid": {"objective": "nwj", "iid": False},
    "NCE iid": {"objective": "infonce", "iid": True},
    "NWJ iid": {"objective": "nwj", "iid": True},
}
PANELS = [
    Panel(
        "4c: bound in nats",
        "F4c_toy_bounds_nats",
        "toy bound",
        lines("bound_train", CELLS),
        levels={"true MI": toy_true_mi(), "ceiling, dependent": toy_ceiling(128)},
    )
]

if __name__ == "__main__":
    main("4c", PANELS)
