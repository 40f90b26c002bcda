"""Figure 8: figure 3 on CIFAR10."""

from curves import main
from figure_3 import panels

PANELS = panels("F8_ACC_NCE", "F8_ACC_NWJ", "F8_INCE", "F8_INWJ")

if __name__ == "__main__":
    main("8", PANELS)
