import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.linalg import expm
from scipy.stats import entropy, norm, poisson

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


def entropies(joint):
    """The mutual information of a table of probabilities, by three entropies of scipy."""
    return entropy(joint.sum(1)) + entropy(joint.sum(0)) - entropy(joint.ravel())


def frequencies(X, Y, shape):
    counts = np.zeros(shape)
    np.add.at(counts, (X[:, 0], Y[:, 0]), 1)
    return counts / len(X)


def normal_ratio(x, y, rho):
    """log p(x, y) / p(x) p(y) of standard normals with a correlation."""
    conditional = norm(rho * x, math.sqrt(1 - rho**2)).logpdf(y)
    return conditional - norm.logpdf(y)


@pytest.mark.parametrize("rho", [0.9, -0.5])
def test_half_atoms_by_the_mean_of_their_log_ratio(rho):
    crossover = 0.1 if rho > 0 else 0.7
    pairs = datasets.half_atoms_pairs(rho, crossover)
    x, y = (side[:, 0] for side in pairs.sample(200_000, random_state=0))
    is_atom = np.abs(x) == 1
    assert np.array_equal(is_atom, np.abs(y) == 1)
    # P(x, y) of two atoms over P(x) P(y) = 1/16, or half of the joint density over quarters.
    atoms = np.log(np.where(x == y, 1 - crossover, crossover) / 4 * 16)
    ratios = np.where(is_atom, atoms, math.log(2) + normal_ratio(x, y, rho))
    stderr = ratios.std() / math.sqrt(len(x))
    assert stderr < 0.003
    assert ratios.mean() == pytest.approx(pairs.true_mi, abs=4 * stderr)


@pytest.mark.parametrize("zeros", [0.0, 0.15, 0.6])
def test_zero_inflated_poisson_by_quadrature(zeros):
    counts = np.arange(150)
    marginal = (1 - zeros) * 0.5 ** (counts + 1)
    marginal[0] += zeros

    def at(u):
        # x = -log u turns the exponential weight into a uniform one.
        given = (1 - zeros) * poisson.pmf(counts, -math.log(u))
        given[0] += zeros
        kept = given > 0
        return (given[kept] * np.log(given[kept] / marginal[kept])).sum()

    expected, _ = quad(at, 0, 1, epsabs=1e-9, epsrel=1e-9, limit=200)
    pairs = datasets.zero_inflated_poisson_pairs(zeros)
    assert pairs.true_mi == pytest.approx(expected, abs=1e-7)
    x, y = pairs.sample(100_000, random_state=0)
    assert np.mean(y == 0) == pytest.approx(marginal[0], abs=0.006)
    assert x.mean() == pytest.approx(1, abs=0.015) and y.mean() == pytest.approx(
        1 - zeros, abs=0.02
    )


def test_zero_inflation_of_the_reference_is_right_at_no_zeros_only():
    without = datasets.zero_inflated_poisson_pairs(0.0).true_mi
    assert 0.85 * without == pytest.approx(0.2561, abs=1e-4)
    assert datasets.zero_inflated_poisson_pairs(0.15).true_mi == pytest.approx(0.2298, abs=1e-4)


def test_zero_inflated_counts_by_the_sum_over_what_made_them():
    shared, own, zeros = 0.8, 0.5, 0.2
    joint = np.zeros((25, 25))
    for s, u, v in np.ndindex(16, 9, 9):
        weight = poisson.pmf(s, shared) * poisson.pmf(u, own) * poisson.pmf(v, own)
        for a, b in np.ndindex(2, 2):
            kept = (1 - zeros if a else zeros) * (1 - zeros if b else zeros)
            joint[a * (s + u), b * (s + v)] += weight * kept
    pairs = datasets.zero_inflated_counts_pairs(shared, own, zeros)
    assert pairs.true_mi == pytest.approx(entropies(joint), abs=1e-6)
    rng, n = np.random.default_rng(0), 100_000
    s, u, v = rng.poisson(shared, n), *rng.poisson(own, (2, n))
    kept = rng.uniform(size=(2, n)) > zeros
    made = frequencies((kept[0] * (s + u))[:, None], (kept[1] * (s + v))[:, None], (25, 25))
    found = frequencies(*pairs.sample(n, random_state=1), (25, 25))
    assert np.abs(made - found).max() < 0.008
    independent = datasets.zero_inflated_counts_pairs(1e-9, 2.0, 0.3)
    assert independent.true_mi == pytest.approx(0, abs=1e-7)


def test_likert_items_by_their_definition():
    joint = np.zeros((6, 6))
    for x in range(1, 6):
        for coin in (0, 1):
            joint[x, abs(x - 3) + 1 + coin] += 0.1
    pairs = datasets.likert_pairs()
    assert pairs.true_mi == pytest.approx(entropies(joint))
    X, Y = pairs.sample(50_000, random_state=0)
    assert np.abs(frequencies(X, Y, (6, 6)) - joint).max() < 0.008
    assert abs(np.corrcoef(X[:, 0], Y[:, 0])[0, 1]) < 0.02


@pytest.mark.parametrize(("phi", "rho"), [(0.9, 0.6), (-0.5, -0.8), (0.0, 0.0), (0.99, 0.0)])
def test_autoregressive_series_by_many_short_ones(phi, rho):
    pairs = datasets.autoregressive_pairs(phi, rho)
    series = np.array([np.hstack(pairs.sample(3, random_state=s)).ravel() for s in range(4000)])
    # Columns x_0, y_0, x_1, y_1, x_2, y_2: stationary from the first row on.
    lags = phi ** np.abs(np.subtract.outer(range(3), range(3)))
    expected = np.kron(lags, [[1, rho], [rho, 1]])
    assert np.cov(series.T) == pytest.approx(expected, abs=0.1)
    x, y = series[:, 4], series[:, 5]
    ratios = normal_ratio(x, y, rho)
    stderr = ratios.std() / math.sqrt(len(x))
    assert ratios.mean() == pytest.approx(pairs.true_mi, abs=4 * stderr + 1e-12)


@pytest.mark.parametrize("signal", [0.0, 3.0, 30.0])
def test_low_rank_pairs_by_the_determinants_of_their_covariance(signal):
    pairs = datasets.low_rank_pairs(40, 30, 3, signal)
    X, Y = pairs.sample(60_000, random_state=0)
    # Loadings by the cross-covariance, whose singular values are the signal of each latent.
    u, s, vt = np.linalg.svd(X.T @ Y / len(X))
    assert s[:3] == pytest.approx(signal, abs=0.03 * signal + 0.1) and s[3:].max() < 0.2
    U, V = u[:, :3], vt[:3].T
    cross = signal * U @ V.T
    joint = np.block(
        [[np.eye(40) + signal * U @ U.T, cross], [cross.T, np.eye(30) + signal * V @ V.T]]
    )
    x, y, both = (np.linalg.slogdet(m)[1] for m in (joint[:40, :40], joint[40:, 40:], joint))
    assert pairs.true_mi == pytest.approx((x + y - both) / 2, abs=1e-9)
    scale = (1 + signal) ** 0.5
    assert np.abs(np.cov(np.hstack([X, Y]).T) - joint).max() < 0.03 * scale**2
    again = pairs.sample(5, random_state=1)[0]
    assert not np.array_equal(again, X[:5])


def coloured_images(m=40):
    """Images whose first pixel is their number, so that a tile tells which image it is."""
    images = np.zeros((m, 2, 3, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(m)
    images[:, 1, 2, 2] = 7
    return images, np.array(list("ab"))[np.arange(m) % 2]


@pytest.mark.parametrize(("n_tiles", "rows"), [(1, 1), (3, 1), (10, 2), (12, 3)])
def test_tiles_of_image_pairs_carry_the_bits_of_a_channel(n_tiles, rows):
    images, labels = coloured_images()
    pairs = datasets.image_pairs(images, labels, n_tiles=n_tiles, true_mi=0.3 * n_tiles)
    X, Y = pairs.sample(4000, random_state=0)
    columns = n_tiles // rows
    assert X.shape == Y.shape == (4000, 2 * rows, 3 * columns, 3) and X.dtype == np.uint8
    assert (X[:, 1::2, 2::3, 2] == 7).all() and (Y[:, 1::2, 2::3, 2] == 7).all()
    of_x, of_y = X[:, ::2, ::3, 0].astype(int), Y[:, ::2, ::3, 0].astype(int)
    assert of_x.shape == (4000, rows, columns)
    p, bits = pairs.crossover, (of_x % 2, of_y % 2)
    assert np.mean(bits[0] != bits[1]) == pytest.approx(p, abs=4 * math.sqrt(p / 4000 / n_tiles))
    assert np.mean(bits[0]) == pytest.approx(0.5, abs=0.035)
    # Given the bits nothing is shared, and every image comes as often as the others of its class.
    assert np.corrcoef(of_x.ravel() // 2, of_y.ravel() // 2)[0, 1] == pytest.approx(0, abs=0.07)
    counts = np.bincount(np.concatenate([of_x.ravel(), of_y.ravel()]), minlength=40)
    assert counts.mean() == pytest.approx(pairs.reuse(4000))
    assert counts.max() < 1.4 * counts.mean() and counts.min() > 0.6 * counts.mean()
    # The sum over both bits of a tile, and over the images that each bit stands for.
    joint = np.array([[1 - p, p], [p, 1 - p]]) / 2
    assert pairs.true_mi == pytest.approx(n_tiles * entropies(joint), abs=1e-9)
    assert entropies(np.kron(joint, np.full((20, 20), 1 / 400))) == pytest.approx(entropies(joint))


@pytest.mark.parametrize("true_mi", [0.0, 1e-6, 2.0, 6.93, 10 * math.log(2)])
def test_crossover_gives_the_information_that_was_asked_for(true_mi):
    p = datasets.image_pairs("digits", true_mi=true_mi).crossover
    found = 10 * (math.log(2) - entropy([p, 1 - p]))
    assert 0 <= p <= 0.5 and found == pytest.approx(true_mi, abs=1e-12)


def test_images_by_name_are_halved(tmp_path, monkeypatch):
    monkeypatch.setenv("SKLEARN_MI_DATA", str(tmp_path))
    images = np.arange(4 * 28 * 28).reshape(4, 28, 28).astype(np.uint8)
    parts = {"x_train": images[:3], "y_train": np.array([5, 0, 1]), "x_test": images[3:]}
    np.savez(tmp_path / "mnist.npz", **parts, y_test=np.array([5]))
    pairs = datasets.image_pairs("mnist", n_tiles=2, true_mi=2 * math.log(2), classes=(5, 1))
    X, Y = pairs.sample(50, random_state=0)
    assert X.shape == Y.shape == (50, 14, 28) and pairs.n_images == 3
    small = [
        [[np.rint(image[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean()) for j in range(14)]
         for i in range(14)]
        for image in images
    ]  # fmt: skip
    known = {np.asarray(image, np.uint8).tobytes(): n for n, image in enumerate(small)}
    numbers = [
        [known[np.ascontiguousarray(row[:, cut]).tobytes()] for row in side]
        for side in (X, Y)
        for cut in (slice(14), slice(14, 28))
    ]
    left_x, right_x, left_y, right_y = (np.array(n) for n in numbers)
    assert set(left_x) == {0, 2, 3}
    # Without noise both sides show the same class in each tile.
    assert np.array_equal(left_x == 2, left_y == 2) and np.array_equal(right_x == 2, right_y == 2)
    assert np.mean(left_x == 2) == pytest.approx(0.5, abs=0.25)
    monkeypatch.setattr(datasets.images, "fetch_cifar10", coloured_splits)
    X, _ = datasets.image_pairs("cifar10").sample(3, random_state=0)
    assert X.shape == (3, 32, 80, 3) and X.dtype == np.uint8


def coloured_splits():
    images = np.random.default_rng(0).integers(256, size=(6, 32, 32, 3)).astype(np.uint8)
    return images[:4], np.array([0, 1, 2, 1]), images[4:], np.array([0, 9])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.image_pairs("faces"), "images='faces'; expected one of digits, mnist, cif"),
        (lambda d: d.image_pairs(true_mi=8.0), "n_tiles=10; 8.0 nats need 12 tiles"),
        (lambda d: d.image_pairs(true_mi=-1.0), "true_mi=-1.0; expected 0 to 6.931 nats"),
        (lambda d: d.image_pairs(true_mi=math.nan), "true_mi=nan"),
        (lambda d: d.image_pairs(n_tiles=2.5), "n_tiles=2.5; expected a positive integer"),
        (lambda d: d.image_pairs(np.zeros((4, 9)), [0, 1, 0, 1]), r"images of shape \(4, 9\)"),
        (lambda d: d.image_pairs(np.zeros((4, 2, 2))), r"labels of shape \(\); expected \(4,\)"),
        (lambda d: d.image_pairs(np.zeros((2, 2, 2)), [1, 1]), "two different labels"),
        (lambda d: d.image_pairs(classes=(3, 3)), r"classes=\(3, 3\)"),
        (lambda d: d.image_pairs(classes=(3, 30)), r"classes=\(3, 30\)"),
        (lambda d: d.half_atoms_pairs(1.0), "correlation=1.0; expected a number between -1 and 1"),
        (lambda d: d.half_atoms_pairs(0.5, 1.2), "crossover=1.2; expected a number from 0 to 1"),
        (lambda d: d.zero_inflated_poisson_pairs(1.0), "zeros=1.0; expected a number of at least"),
        (lambda d: d.zero_inflated_counts_pairs(0.0), "shared=0.0; expected a positive number"),
        (lambda d: d.zero_inflated_counts_pairs(zeros=-0.1), "zeros=-0.1"),
        (lambda d: d.autoregressive_pairs(1.0), "phi=1.0; expected a number between -1 and 1"),
        (lambda d: d.autoregressive_pairs(0.9, -1), "correlation=-1; expected a number between"),
        (lambda d: d.low_rank_pairs(9, 3, 4), "n_latents=4; expected 1 to 3, the columns of the"),
        (lambda d: d.low_rank_pairs(signal=-1.0), "signal=-1.0; expected a number of 0 or more"),
    ],
)
def test_what_no_pairs_can_be_made_of_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call(datasets)


KNOWN = datasets.known_pairs()


def test_known_pairs_hold_every_function_that_makes_some():
    makers = {
        *("beyond_normal", "gaussian_staircase", "independent", "discrete", "likert"),
        *("discrete_continuous", "half_atoms", "zero_inflated_poisson", "zero_inflated_counts"),
        *("autoregressive", "low_rank"),
    }
    named = {name.removesuffix("_pairs") for name in datasets.__all__}
    assert makers < named
    starts = {maker.replace("_", "-") for maker in makers - {"beyond_normal", "gaussian_staircase"}}
    starts |= {"gaussian-20", "cubic-", "rotated cubic-", "digits-10"}
    assert {s for s in starts if not any(name.startswith(s) for name in KNOWN)} == set()
    assert set(datasets.beyond_normal()) < set(KNOWN)


@pytest.mark.parametrize("name", [name for name in KNOWN if name not in datasets.beyond_normal()])
def test_every_known_task_is_drawn_by_its_seed(name):
    task = KNOWN[name]
    assert task.name == name and 0 <= task.true_mi < 11
    (X, Y), again = task.sample(7, random_state=0), task.sample(7, random_state=0)
    assert len(X) == len(Y) == 7 and X.ndim >= 2 and Y.ndim >= 2
    assert np.isfinite(X).all() and np.isfinite(Y).all()
    assert np.array_equal(X, again[0]) and np.array_equal(Y, again[1])
    other = task.sample(7, random_state=1)
    assert not (np.array_equal(X, other[0]) and np.array_equal(Y, other[1]))
    assert all(len(side) == 1 for side in task.sample(1, random_state=0))
