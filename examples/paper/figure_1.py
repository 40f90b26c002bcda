"""Figure 1a and 1b: bijective encoders. The MI is constant; bound and accuracy rise all the same.

The accuracy is that of the MinMaxScaler of 2019, with which the figure was made: it blows up the
rounding of constant pixels, hence .862 before training where today's gives .849.
"""

from curves import Panel, lines, main

OBJECTIVES = {"NCE": {"objective": "infonce"}, "NWJ": {"objective": "nwj"}}
PANELS = [
    Panel("1a: bound on training batches", "F1a_IEST", "bound", lines("bound_train", OBJECTIVES)),
    Panel("1b: accuracy", "F1b_ACC", "accuracy", lines("accuracy_2019", OBJECTIVES)),
]

if __name__ == "__main__":
    main("1", PANELS)
