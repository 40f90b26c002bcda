"""Figure 9: figures 4a and 4b on CIFAR10, where NWJ does not reach its target of 4 nats."""

from curves import main
from figure_4 import panels

PANELS = panels("F9_ACC_NCE", "F9_ACC_NWJ", "F9_LT_NCE", "F9_LT_NWJ")

if __name__ == "__main__":
    main("9", PANELS)
