"""Figure 1c: a bijective encoder trained against a linear classifier is far worse than pixels.

The paper's curve is one run, which jumps by .1 between evaluations; it is drawn, not judged.
"""

from curves import Panel, lines, main

PANELS = [
    Panel(
        "1c: accuracy", "F1c_ACC_adversarial", "probe accuracy", lines("accuracy_2019", {"acc": {}})
    )
]

if __name__ == "__main__":
    main("1c", PANELS)
