import subprocess
import sys

import pytest
import torch

from sklearn_mi._base import Codes, check_equal_widths, sizes
from sklearn_mi.critics import Cosine


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def inner(z_x, z_y):
    return z_x @ z_y.T


def test_codes_make_their_scores_once():
    calls = []

    def critic(x, y):
        calls.append(1)
        return x @ y.T

    codes = Codes(torch.ones(2, 3), torch.ones(2, 3), critic)
    assert codes.scores is codes.scores and len(calls) == 1


@pytest.mark.parametrize("made", [False, True])
def test_a_subset_keeps_rows_with_their_partners_and_further_columns(made):
    codes = Codes(
        draw(5, 2),
        draw(7, 2, seed=1),
        inner,
        x=draw(5, 3, seed=2),
        x_prime=draw(5, 3, seed=3),
        negatives=draw(5, 7, seed=4) > 0,
    )
    if made:
        assert codes.scores.shape == (5, 7)
    part = codes.subset(torch.tensor([True, False, True, True, False]))
    rows, columns = [0, 2, 3], [0, 2, 3, 5, 6]
    assert part.has_scores == codes.has_scores == made
    assert torch.equal(part.z_x, codes.z_x[rows]) and torch.equal(part.z_y, codes.z_y[columns])
    assert torch.equal(part.x, codes.x[rows]) and torch.equal(part.x_prime, codes.x_prime[rows])
    assert torch.equal(part.negatives, codes.negatives[rows][:, columns])
    torch.testing.assert_close(part.scores, codes.scores[rows][:, columns])
    assert part.positives is None


def test_a_subset_drops_the_columns_that_only_other_rows_are_paired_with():
    # Row 0 is paired with columns 0 and 1, row 1 with 1 and 2, row 2 with none; column 3 with none.
    positives = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]).bool()
    codes = Codes(draw(3, 2), draw(4, 2, seed=1), inner, positives=positives)
    part = codes.subset(torch.tensor([True, False, True]))
    assert torch.equal(part.z_y, codes.z_y[[0, 1, 3]])
    assert part.positives.int().tolist() == [[1, 1, 0], [0, 0, 0]]
    diagonal = Codes(draw(3, 2), draw(4, 2, seed=1), inner, positives=torch.eye(3, 4).bool())
    plain = Codes(draw(3, 2), draw(4, 2, seed=1), inner)
    kept = torch.tensor([False, True, True])
    assert torch.equal(diagonal.subset(kept).z_y, plain.subset(kept).z_y)


def test_sizes_are_positive_integers():
    assert sizes("hidden", [3, 4]) == (3, 4) and sizes("hidden", ()) == ()
    with pytest.raises(TypeError, match=r"hidden=3; expected a tuple.*: \(9,\)\."):
        sizes("hidden", 3, "(9,)")
    with pytest.raises(ValueError, match="each of hidden=0; expected a positive integer"):
        sizes("hidden", (3, 0))


def test_codes_of_two_widths_are_refused_with_a_cure():
    assert check_equal_widths(3, 3, Cosine(), "another") is None
    with pytest.raises(ValueError, match=r"d_x=3 and d_y=4; Cosine\(\).*or take another\."):
        check_equal_widths(3, 4, Cosine(), "another")


def test_the_base_loads_no_torch():
    code = "import sys, sklearn_mi._base; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
