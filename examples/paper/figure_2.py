"""Figures 2 and 5: encoders that could be inverted become hard to invert.

The paper's percentiles of the condition number are over rows and runs together, ours are means
over seeds of those over rows.
"""

from curves import Line, Panel, lines, main

OBJECTIVES = {"NCE": {"objective": "infonce"}, "NWJ": {"objective": "nwj"}}
PERCENTILES = {"min": 0, "p20": 20, "p40": 40, "p60": 60, "p80": 80, "max": 100}


def percentiles(objective):
    return [
        Line(name, {"objective": objective}, f"log_condition_p{number}")
        for name, number in PERCENTILES.items()
    ]


PANELS = [
    Panel("2a: bound on training batches", "F2a_IEST", "bound", lines("bound_train", OBJECTIVES)),
    Panel("2b: accuracy", "F2b_ACC", "accuracy", lines("accuracy", OBJECTIVES)),
    Panel("2c: InfoNCE", "F2c_LOGCOND_NCE", "log condition", percentiles("infonce")),
    Panel("5: NWJ", "F5_LOGCOND_NWJ", "log condition", percentiles("nwj")),
]

if __name__ == "__main__":
    main("2", PANELS)
