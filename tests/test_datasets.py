import math

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from scipy.stats import entropy

from sklearn_mi import bounds, datasets


@pytest.mark.parametrize("true_mi", [0.0, 0.5, 4.0])
def test_gaussian_pairs_have_their_mutual_information(true_mi):
    X, Y, stated = datasets.correlated_gaussian(50_000, 3, true_mi=true_mi, random_state=0)
    # The closed form -1/2 log det(I - R_xx^-1 R_xy R_yy^-1 R_yx), from the sample covariance.
    joint = np.cov(np.hstack([X, Y]).T)
    logdet = [np.linalg.slogdet(m)[1] for m in (joint[:3, :3], joint[3:, 3:], joint)]
    assert stated == true_mi
    assert 0.5 * (logdet[0] + logdet[1] - logdet[2]) == pytest.approx(true_mi, abs=0.02)


def test_a_negative_information_is_an_error():
    with pytest.raises(ValueError, match="true_mi=-1"):
        datasets.correlated_gaussian(10, true_mi=-1)


def test_fetched_data_come_from_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SKLEARN_MI_DATA", str(tmp_path))
    arrays = {
        "x_train": np.zeros((3, 28, 28), np.uint8),
        "y_train": np.arange(3),
        "x_test": np.ones((2, 28, 28), np.uint8),
        "y_test": np.arange(2),
    }
    np.savez(tmp_path / "mnist.npz", **arrays)
    for found, given in zip(datasets.fetch_mnist(), arrays.values(), strict=True):
        assert np.array_equal(found, given)


def test_missing_data_are_downloaded_or_told(tmp_path, monkeypatch):
    import torchvision

    class Offline:
        def __init__(self, root, train, download):
            raise RuntimeError("no route to host")

    monkeypatch.setenv("SKLEARN_MI_DATA", str(tmp_path))
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", Offline)
    with pytest.raises(OSError, match="SKLEARN_MI_DATA"):
        datasets.fetch_cifar10()

    class Online:
        def __init__(self, root, train, download):
            self.data = np.full((4, 32, 32, 3), int(train), np.uint8)
            self.targets = [1, 2, 3, 4]

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", Online)
    x_train, y_train, x_test, y_test = datasets.fetch_cifar10()
    assert x_train.shape == (4, 32, 32, 3) and x_train.max() == 1 and x_test.max() == 0
    assert y_train.tolist() == y_test.tolist() == [1, 2, 3, 4]
    # Once there, nothing is downloaded again.
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", Offline)
    for kept, first in zip(
        datasets.fetch_cifar10(), (x_train, y_train, x_test, y_test), strict=True
    ):
        assert np.array_equal(kept, first)


@pytest.mark.parametrize(
    ("n", "ceiling"),
    [(1, 0.0204), (2, 0.114), (8, 0.273), (32, 0.347), (128, 0.3695), (512, 0.3755)],
)
def test_toy_ceiling_equals_the_known_values(n, ceiling):
    assert datasets.toy_ceiling(n) == pytest.approx(
        ceiling, abs=5.1e-4 if n in (2, 8, 32) else 6e-5
    )


def test_toy_ceiling_equals_the_regression_on_the_batch():
    # Var(y | x_1..n) by the inverse of 11' + I, which is I - 11' / (n + 1).
    n, cross = 16, np.full(16, -0.5)
    cross[0] += 0.9
    explained = cross @ cross - cross.sum() ** 2 / (n + 1)
    assert datasets.toy_ceiling(n) == pytest.approx(-0.5 * math.log(1 - explained / 2))
    assert datasets.toy_true_mi() == pytest.approx(-0.5 * math.log(1 - 0.4**2 / 4))


def test_toy_ceiling_needs_a_pair():
    with pytest.raises(ValueError, match="n=0"):
        datasets.toy_ceiling(0)


@pytest.mark.parametrize("iid", [True, False])
def test_toy_pairs_have_the_covariances_of_the_paper(iid):
    generator = torch.Generator().manual_seed(0)
    batches = [datasets.toy_pairs(2, iid=iid, generator=generator) for _ in range(8000)]
    # Columns x_1, y_1, x_2, y_2: what two pairs of a batch have in common is z, or nothing.
    rows = np.stack([torch.cat([x, y], 1).flatten().numpy() for x, y in batches])
    shared = np.array([[1, -0.5], [-0.5, 1]])
    pair = shared + np.array([[1, 0.9], [0.9, 1]])
    other = 0 * shared if iid else shared
    expected = np.block([[pair, other], [other, pair]])
    assert np.cov(rows.T) == pytest.approx(expected, abs=0.12)


def test_toy_pairs_come_from_their_generator():
    def draw(seed):
        return datasets.toy_pairs(5, iid=False, generator=torch.Generator().manual_seed(seed))

    state = torch.random.get_rng_state()
    assert all(torch.equal(*pair) for pair in zip(draw(0), draw(0), strict=True))
    assert not torch.equal(draw(0)[0], draw(1)[0])
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [view.shape for view in draw(0)] == [(5, 1), (5, 1)]


@pytest.mark.parametrize(
    ("iid", "infonce", "nwj"), [(True, 0.0197, 0.0198), (False, 0.0808, 0.0684)]
)
def test_dependent_toy_batches_break_the_bounds_without_any_training(iid, infonce, nwj):
    generator = torch.Generator().manual_seed(0)
    pairs = [datasets.toy_pairs(128, iid=iid, generator=generator) for _ in range(600)]
    x, y = (torch.stack(views).double() for views in zip(*pairs, strict=True))
    # log p(x, y) / p(x) p(y) of one pair: variances 2, correlation .2.
    y, square = y.mT, 2 * 2 * (1 - 0.2**2)
    ratio = (2 * 0.2 * x * y - 0.2**2 * (x**2 + y**2)) / square - 0.5 * math.log(1 - 0.2**2)
    for bound, shift, known in ((bounds.infonce, 0, infonce), (bounds.nwj, 1, nwj)):
        values = torch.vmap(bound)(ratio + shift)
        stderr = values.std().item() / math.sqrt(len(values))
        assert stderr < 0.004
        assert values.mean().item() == pytest.approx(known, abs=4 * stderr + 0.0006)
        if not iid:
            assert values.mean().item() > datasets.toy_true_mi() + 8 * stderr


VALUES = {  # as printed in the benchmark's own tables
    "1v1-additive-0.1": 1.7094,
    "1v1-additive-0.75": 0.3333,
    "1v1-bimodal-0.75": 0.4133,
    "asinh-student-identity-1-1-1": 0.2242,
    "half_cube-multinormal-sparse-3-3-2-2.0": 1.0217,
    "multinormal-dense-2-2-0.5": 0.2939,
    "multinormal-dense-50-50-0.5": 1.6243,
    "spiral-normal_cdf-multinormal-sparse-25-25-2-2.0": 1.0217,
    "student-identity-2-2-1": 0.4319,
    "student-identity-3-3-2": 0.2909,
    "student-identity-5-5-3": 0.2985,
    "swissroll_x-normal_cdf-1v1-normal-0.75": 0.4133,
    "wiggly-1v1-normal-0.75": 0.4133,
}


def test_beyond_normal_has_the_benchmarks_values():
    tasks = datasets.beyond_normal()
    assert len(tasks) == 40
    for name, value in VALUES.items():
        assert tasks[name].true_mi == pytest.approx(value, abs=6e-5)


@pytest.mark.parametrize("name", list(datasets.beyond_normal()))
def test_known_pairs_have_the_widths_of_their_names(name):
    X, Y = datasets.beyond_normal()[name].sample(50, random_state=0)
    again = datasets.beyond_normal()[name].sample(50, random_state=0)
    assert np.array_equal(X, again[0]) and np.array_equal(Y, again[1])
    digits = [int(part) for part in name.replace("1v1", "1-1").split("-") if part.isdigit()]
    wide = 2 if "swissroll" in name else digits[0]
    assert X.shape == (50, wide) and Y.shape == (50, digits[1])
    assert np.isfinite(X).all() and np.isfinite(Y).all()


def test_increasing_maps_keep_ranks():
    tasks = datasets.beyond_normal()
    for name, task in tasks.items():
        if task.under_ranks:
            mapped, plain = (tasks[n].sample(99, random_state=3) for n in (name, task.under_ranks))
            for a, b in zip(mapped, plain, strict=True):
                assert np.array_equal(a.argsort(0), b.argsort(0)), name


def test_spiral_turns_by_the_squared_norm():
    tasks = datasets.beyond_normal()
    plain = tasks["multinormal-sparse-3-3-2-2.0"].sample(20, random_state=0)
    turned = tasks["spiral-multinormal-sparse-3-3-2-2.0"].sample(20, random_state=0)
    for (i, j), a, b in zip(((0, 1), (1, 2)), plain, turned, strict=True):
        generator = np.zeros((3, 3))
        generator[i, j], generator[j, i] = -1, 1
        expected = [expm(generator * (row @ row) / 3) @ row for row in a]
        assert np.allclose(b, expected)


def test_discrete_pairs_against_scipy():
    joint = np.array([[0.2, 0.1, 0.0], [0.1, 0.3, 0.3]])
    pairs = datasets.discrete_pairs(5 * joint)
    rows, columns = joint.sum(1), joint.sum(0)
    expected = entropy(rows) + entropy(columns) - entropy(joint.ravel())
    assert pairs.true_mi == pytest.approx(expected)
    X, Y = pairs.sample(100_000, random_state=0)
    counts = np.zeros((2, 3))
    np.add.at(counts, (X[:, 0], Y[:, 0]), 1)
    assert np.abs(counts / 100_000 - joint).max() < 0.01
    with pytest.raises(ValueError, match="table of numbers"):
        datasets.discrete_pairs([0.5, 0.5])


def test_discrete_continuous_against_numerical_integration():
    # y lies in m + 1 unit intervals; all but the first and the last have two possible x.
    m = 5
    density = np.array([1, *[2] * (m - 1), 1]) / (2 * m)
    expected = -(density * np.log(density)).sum() - np.log(2)
    assert datasets.discrete_continuous_pairs(m).true_mi == pytest.approx(expected)


def test_staircase_maps():
    for name in ("identity", "cubic", "rotated cubic"):
        steps = datasets.gaussian_staircase((1.0, 3.0), n_features=4, map=name)
        assert [step.true_mi for step in steps] == pytest.approx([1.0, 3.0])
        plain = datasets.gaussian_staircase((1.0, 3.0), n_features=4)[0]
        Y, given = steps[0].sample(30, random_state=0)[1], plain.sample(30, random_state=0)[1]
        wanted = given if name == "identity" else given**3
        # A rotation keeps norms.
        assert np.allclose(np.linalg.norm(Y, axis=1), np.linalg.norm(wanted, axis=1))
        assert np.allclose(Y, wanted) == (name != "rotated cubic")
    with pytest.raises(ValueError, match="rotated cubic"):
        datasets.gaussian_staircase(map="square")
