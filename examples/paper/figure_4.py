"""Figures 4a, 4b and 7: at one size of the bound, the ConvNet's features are better."""

from curves import Panel, lines, main

CELLS = {
    "Conv t2": {"encoder": "convnet", "target": 2.0},
    "Conv t4": {"encoder": "convnet", "target": 4.0},
    "MLP t2": {"encoder": "mlp", "target": 2.0},
    "MLP t4": {"encoder": "mlp", "target": 4.0},
}


def panels(accuracy_nce, accuracy_nwj, distance_nce, distance_nwj):
    """Return the four panels of a figure on matched bounds."""
    nce, nwj = {"objective": "infonce"}, {"objective": "nwj"}
    label = "matched, |bound - target|"
    return [
        Panel("accuracy, InfoNCE", accuracy_nce, "accuracy", lines("accuracy", CELLS, **nce)),
        Panel("accuracy, NWJ", accuracy_nwj, "accuracy", lines("accuracy", CELLS, **nwj)),
        Panel("distance, InfoNCE", distance_nce, label, lines("matched", CELLS, **nce)),
        Panel("distance, NWJ", distance_nwj, label, lines("matched", CELLS, **nwj)),
    ]


PANELS = panels("F4a_ACC_NCE", "F4b_ACC_NWJ", "F7_LT_NCE", "F7_LT_NWJ")

if __name__ == "__main__":
    main("4", PANELS)
