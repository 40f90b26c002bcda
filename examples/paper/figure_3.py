"""Figures 3 and 6: the larger the critic, the worse the features, whatever the bound."""

from curves import Panel, lines, main

CRITICS = {
    "Bilinear": {"critic": "bilinear"},
    "Separable": {"critic": "separable"},
    "MLP": {"critic": "concat"},
}


def panels(accuracy_nce, accuracy_nwj, bound_nce, bound_nwj):
    """Return the four panels of a figure on critics."""
    nce, nwj = {"objective": "infonce"}, {"objective": "nwj"}
    bound = "bound_train"
    return [
        Panel("accuracy, InfoNCE", accuracy_nce, "accuracy", lines("accuracy", CRITICS, **nce)),
        Panel("accuracy, NWJ", accuracy_nwj, "accuracy", lines("accuracy", CRITICS, **nwj)),
        Panel("InfoNCE on training batches", bound_nce, "bound", lines(bound, CRITICS, **nce)),
        Panel("NWJ on training batches", bound_nwj, "bound", lines(bound, CRITICS, **nwj)),
    ]


PANELS = panels("F3_ACC_NCE", "F3_ACC_NWJ", "F6_INCE", "F3_INWJ")

if __name__ == "__main__":
    main("3", PANELS)
