"""Critics: pick how pairs of codes are scored, ``scores[i, j] = f(z_x[i], z_y[j])``.

A high score says that two codes belong to partners. Training learns encoders and critic together.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sklearn_mi._base import Component, check_equal_widths, positive_integer, sizes
from sklearn_mi.layers import as_description, copied, dense, equal_parts, made_by, mlp
from sklearn_mi.tiles import CriticModule, Scores, recomputed

__all__ = [
    "CRITICS",
    "Bilinear",
    "Cauchy",
    "Concat",
    "Cosine",
    "Critic",
    "CriticModule",
    "Factory",
    "InnerProduct",
    "Ready",
    "Separable",
    "Split",
    "as_critic",
    "cauchy_scores",
    "cosine_scores",
    "inner_scores",
]

# The cure if codes differ in width.
FREE_WIDTHS = "critic='bilinear', 'separable' or 'concat'"
# A concatenated critic has a hidden layer for every pair: above 1 GB it scores some rows at a time.
NUMBERS_AT_ONCE = 2**26


def inner_scores(z_x: Tensor, z_y: Tensor) -> Tensor:
    """Return the inner products of all pairs of codes.

    Parameters
    ----------
    z_x, z_y : Tensor of shape (n, d), (m, d)

    Returns
    -------
    Tensor of shape (n, m)
    """
    return z_x @ z_y.T


def cosine_scores(z_x: Tensor, z_y: Tensor, scale: Tensor | float = 1.0) -> Tensor:
    """Return the cosines of the angles between all pairs of codes, times ``scale``.

    Parameters
    ----------
    z_x, z_y : Tensor of shape (n, d), (m, d)
    scale : Tensor or float
        Multiplies the n codes, not the n * m scores, which saves memory.

    Returns
    -------
    Tensor of shape (n, m)
        A code of zeros scores 0 with every code.
    """
    return (scale * F.normalize(z_x, dim=1)) @ F.normalize(z_y, dim=1).T


def cauchy_scores(z_x: Tensor, z_y: Tensor) -> Tensor:
    """Return ``-log(1 + |z_x - z_y|^2)`` of all pairs of codes.

    The squared distance is ``|z_x|^2 + |z_y|^2 - 2 z_x . z_y``, without a tensor of shape
    (n, m, d). Negative rounding errors are cut off. The gradient is 0 if two codes coincide. The
    error is about the dtype's precision times the squared lengths of the codes; half precision is
    computed in float32.

    Parameters
    ----------
    z_x, z_y : Tensor of shape (n, d), (m, d)

    Returns
    -------
    Tensor of shape (n, m)
    """
    return -torch.log1p(_squared_distances(z_x, z_y))


def _squared_distances(z_x: Tensor, z_y: Tensor) -> Tensor:
    # Differences of large numbers need every digit: no half precision.
    z_x, z_y = (z.to(torch.promote_types(z.dtype, torch.float32)) for z in (z_x, z_y))
    with torch.autocast(z_x.device.type, enabled=False):
        lengths = z_x.square().sum(1)[:, None] + z_y.square().sum(1)
        return torch.addmm(lengths, z_x, z_y.T, alpha=-2).clamp_min(0)


def _check_scores(module: nn.Module, d_x: int, d_y: int) -> None:
    """Try codes of zeros, on a copy: a user's module may count its calls or keep statistics."""
    name = type(module).__name__
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    z_x, z_y = like.new_zeros(2, d_x), like.new_zeros(3, d_y)
    try:
        with torch.no_grad():
            scores = copy.deepcopy(module).eval()(z_x, z_y)
    except Exception as error:
        raise ValueError(
            f"d_x={d_x} and d_y={d_y}; critic {name} does not accept such codes: {error}"
        ) from error
    if not isinstance(scores, Tensor) or scores.shape != (2, 3):
        got = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ValueError(
            f"critic {name} gives {got} for codes of shape (2, {d_x}) and (3, {d_y}); expected a "
            "tensor of scores of shape (2, 3)."
        )


class _Formula(CriticModule):
    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, z_x: Tensor, z_y: Tensor) -> Tensor:
        return self.function(z_x, z_y)

    def extra_repr(self) -> str:
        return self.function.__name__


class _Cauchy(CriticModule):
    def forward(self, z_x: Tensor, z_y: Tensor) -> Tensor:
        return cauchy_scores(z_x, z_y)

    def log_sums(self, z_x: Tensor, z_y: Tensor) -> tuple[Tensor, Tensor]:
        # exp(score) is 1 / (1 + d^2), so no cell needs a logarithm or an exponential.
        odds = 1 + _squared_distances(z_x, z_y)
        return -odds.diagonal().log(), odds.reciprocal().sum(1).log()


class _Cosine(CriticModule):
    def __init__(self, temperature: float, *, learn: bool) -> None:
        super().__init__()
        self.start = temperature
        # The temperature is learned as a logarithm, so it stays positive.
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature))) if learn else None

    @property
    def temperature(self) -> float:
        return self.start if self.log_temperature is None else math.exp(self.log_temperature.item())

    def forward(self, z_x: Tensor, z_y: Tensor) -> Tensor:
        learned = self.log_temperature
        return cosine_scores(z_x, z_y, 1 / self.start if learned is None else torch.exp(-learned))

    def extra_repr(self) -> str:
        return f"temperature={self.temperature:g}"


class _Bilinear(CriticModule):
    def __init__(self, d_x: int, d_y: int) -> None:
        super().__init__()
        self.map = dense(d_x, d_y, bias=False)

    def forward(self, z_x: Tensor, z_y: Tensor) -> Tensor:
        return self.map(z_x) @ z_y.T


class _Separable(CriticModule):
    def __init__(self, phi_x: nn.Module, phi_y: nn.Module) -> None:
        super().__init__()
        self.phi_x, self.phi_y = phi_x, phi_y

    def project(self, z_x: Tensor, z_y: Tensor) -> tuple[Tensor, Tensor, Scores]:
        return self.phi_x(z_x), self.phi_y(z_y), inner_scores

    def forward(self, z_x: Tensor, z_y: Tensor) -> Tensor:
        return self.phi_x(z_x) @ self.phi_y(z_y).T


class _Concat(CriticModule):
    def __init__(self, d_x: int, d_y: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.widths = (d_x, d_y)
        # One layer for both halves, so its Glorot bound is that of the joined input.
        self.first = dense(d_x + d_y, hidden[0])
        self.rest = mlp((*hidden, 1))

    def forward(self, z_x: Tensor, z_y: Tensor) -> Tensor:
        weight_x, weight_y = self.first.weight.split(self.widths, dim=1)
        # W [z_x, z_y] + b = (W_x z_x + b) + W_y z_y: the joined pairs never exist.
        first, second = F.linear(z_x, weight_x, self.first.bias), F.linear(z_y, weight_y)
        rows_at_once = max(1, NUMBERS_AT_ONCE // (len(z_y) * self.first.out_features))
        if len(z_x) <= 4 * rows_at_once:
            return self._rest(first, second)
        parts = first.split(rows_at_once)
        return torch.cat([recomputed(self._rest, part, second) for part in parts])

    def _rest(self, first: Tensor, second: Tensor) -> Tensor:
        return self.rest((first[:, None] + second).relu_()).squeeze(-1)


class _Split(CriticModule):
    """One critic for each part of the codes."""

    has_parts: ClassVar[bool] = True

    def __init__(self, parts: Sequence[nn.Module], widths: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.parts, self.widths = nn.ModuleList(parts), tuple(zip(*widths, strict=True))

    def cut(self, z_x: Tensor, z_y: Tensor) -> list[tuple[Tensor, Tensor, nn.Module]]:
        cuts = z_x.split(self.widths[0], dim=1), z_y.split(self.widths[1], dim=1)
        return list(zip(*cuts, self.parts, strict=True))

    def forward(self, z_x: Tensor, z_y: Tensor) -> Tensor:
        return torch.stack([part(a, b) for a, b, part in self.cut(z_x, z_y)]).sum(0)


class Critic(Component, ABC):
    """Write a critic of your own: store its parameters and define `build`.

    Examples
    --------
    >>> class Manhattan(nn.Module):
    ...     def forward(self, z_x, z_y):
    ...         return -torch.cdist(z_x, z_y, p=1)
    >>> @dataclass(repr=False, eq=False)
    ... class ManhattanCritic(Critic):
    ...     def build(self, d_x, d_y):
    ...         return Manhattan()
    >>> ManhattanCritic().build(3, 3)(torch.zeros(5, 3), torch.zeros(4, 3)).shape
    torch.Size([5, 4])
    """

    @abstractmethod
    def build(self, d_x: int, d_y: int) -> nn.Module:
        """Return a new module, its weights drawn from torch's global generator.

        Parameters
        ----------
        d_x, d_y : int
            Widths of the two codes.

        Returns
        -------
        Module
            Maps ``z_x`` of shape (n, d_x) and ``z_y`` of shape (m, d_y) to scores (n, m).

        Raises
        ------
        ValueError
            If the widths differ and the critic needs equal widths.
        """


@dataclass(repr=False, eq=False)
class InnerProduct(Critic):
    """Score by the inner product ``z_x^T z_y``: no parameters, the encoders do all the work.

    Codes must have equal widths. Unlike `Bilinear`, it scores only what both encoders put on the
    same axis.

    Examples
    --------
    >>> InnerProduct().build(3, 3)(torch.eye(3), 2 * torch.eye(3))
    tensor([[2., 0., 0.],
            [0., 2., 0.],
            [0., 0., 2.]])
    """

    def build(self, d_x: int, d_y: int) -> nn.Module:
        """Return the module; see `Critic.build`."""
        check_equal_widths(d_x, d_y, self, FREE_WIDTHS)
        return _Formula(inner_scores)


@dataclass(repr=False, eq=False)
class Cosine(Critic):
    """Score by the cosine of the angle between two codes, ``cos(z_x, z_y) / T``.

    Scores lie in [-1/T, 1/T], so training is stable. This range limits the bound unless the
    temperature T is small or learned. Codes must have equal widths.

    Parameters
    ----------
    temperature : float
        T, positive; the start value if T is learned.
    learn_temperature : bool
        Whether training changes T (through its logarithm, so it stays positive).

    References
    ----------
    A Simple Framework for Contrastive Learning of Visual Representations (Chen, Kornblith,
    Norouzi & Hinton, 2020). https://arxiv.org/abs/2002.05709

    Examples
    --------
    >>> Cosine(temperature=0.5).build(2, 2)(torch.tensor([[3.0, 0.0]]), torch.eye(2))
    tensor([[2., 0.]])
    """

    temperature: float = 0.1
    learn_temperature: bool = False

    def build(self, d_x: int, d_y: int) -> nn.Module:
        """Return the module; see `Critic.build`."""
        check_equal_widths(d_x, d_y, self, FREE_WIDTHS)
        if isinstance(self.temperature, bool) or not isinstance(self.temperature, Real):
            raise TypeError(f"temperature={self.temperature!r}; expected a positive number.")
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature={self.temperature!r}; expected a positive number.")
        return _Cosine(float(self.temperature), learn=self.learn_temperature)


@dataclass(repr=False, eq=False)
class Bilinear(Critic):
    """Score by a learned bilinear form, ``z_x^T W z_y``: the paper's default critic.

    A good first choice: a simple critic leaves the work to the encoders, and the paper's best
    features come from this one. It has ``d_x * d_y`` parameters, which start Glorot-uniform, and no
    bias. Codes may differ in width.

    References
    ----------
    On Mutual Information Maximization for Representation Learning (Tschannen et al., 2020).
    https://arxiv.org/abs/1907.13625

    Examples
    --------
    >>> Bilinear().build(3, 2)(torch.zeros(5, 3), torch.zeros(4, 2)).shape
    torch.Size([5, 4])
    """

    def build(self, d_x: int, d_y: int) -> nn.Module:
        """Return the module; see `Critic.build`."""
        return _Bilinear(d_x, d_y)


@dataclass(repr=False, eq=False)
class Separable(Critic):
    """Score by the inner product of two networks, ``phi_x(z_x)^T phi_y(z_y)``.

    Use it as a strong critic for large batches: it needs n + m passes for n * m scores. Each phi is
    a multilayer perceptron with ReLU and a linear last layer. At codes of width 100 the two have
    40 400 parameters together. Codes may differ in width.

    Parameters
    ----------
    hidden : tuple of int
        Sizes of the hidden layers of each phi; ``()`` gives a linear map.
    width : int
        Width of the output of each phi.

    References
    ----------
    On Mutual Information Maximization for Representation Learning (Tschannen et al., 2020).
    https://arxiv.org/abs/1907.13625

    Examples
    --------
    >>> Separable(hidden=(8,), width=4).build(3, 2)(torch.zeros(5, 3), torch.zeros(4, 2)).shape
    torch.Size([5, 4])
    """

    hidden: Sequence[int] = (100,)
    width: int = 100

    def build(self, d_x: int, d_y: int) -> nn.Module:
        """Return the module; see `Critic.build`."""
        widths = (*sizes("hidden", self.hidden), positive_integer("width", self.width))
        return _Separable(mlp((d_x, *widths)), mlp((d_y, *widths)))


@dataclass(repr=False, eq=False)
class Concat(Critic):
    """Score by a network on the joined codes of each pair, ``phi([z_x, z_y])``: the paper's MLP.

    It is the most flexible critic, and the tightest with NWJ, yet the paper's worst features come
    from it. It needs n * m passes: O(n m h) time and memory, where h is the widest hidden layer.
    The network is a multilayer perceptron with ReLU and one linear output. At codes of width 100 it
    has 40 401 parameters. The first layer is applied once to each code and added by broadcasting.
    Codes may differ in width.

    Parameters
    ----------
    hidden : tuple of int
        Sizes of the hidden layers, at least one: without any, no score depends on the pair.

    References
    ----------
    On Mutual Information Maximization for Representation Learning (Tschannen et al., 2020).
    https://arxiv.org/abs/1907.13625

    Examples
    --------
    >>> Concat(hidden=(8,)).build(3, 2)(torch.zeros(5, 3), torch.zeros(4, 2)).shape
    torch.Size([5, 4])
    """

    hidden: Sequence[int] = (200,)

    def build(self, d_x: int, d_y: int) -> nn.Module:
        """Return the module; see `Critic.build`."""
        hidden = sizes("hidden", self.hidden)
        if not hidden:
            raise ValueError(f"hidden={self.hidden!r}; expected at least one layer: (200,).")
        return _Concat(d_x, d_y, hidden)


@dataclass(repr=False, eq=False)
class Cauchy(Critic):
    """Score by closeness with heavy tails, ``-log(1 + |z_x - z_y|^2)``: no parameters.

    Use it for nearest neighbours, clustering and plots in 2-D: partners get codes that are close in
    Euclidean distance. Pairs that are far apart hardly attract each other, as in t-SNE. Codes must
    have equal widths, and scores never exceed 0.

    References
    ----------
    Visualizing Data using t-SNE (van der Maaten & Hinton, 2008).
    https://www.jmlr.org/papers/v9/vandermaaten08a.html

    Examples
    --------
    >>> Cauchy().build(2, 2)(torch.zeros(1, 2), torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    tensor([[-0.0000, -0.6931]])
    """

    def build(self, d_x: int, d_y: int) -> nn.Module:
        """Return the module; see `Critic.build`."""
        check_equal_widths(d_x, d_y, self, FREE_WIDTHS)
        return _Cauchy()


@dataclass(repr=False, eq=False)
class Split(Critic):
    r"""Cut the code into equal parts, score each by its own critic, and add the scores.

    .. math:: f(z, z') = \sum_k f_k(z_{(k)}, z'_{(k)})

    The critic shapes the code. Under `Cauchy` scores fall with distance, so nearest neighbours are
    meaningful, which helps with few labels. Under `Cosine` directions keep more of what separates
    rows, which helps with many labels. A code of two parts has both. With
    `sklearn_mi.objectives.EachPart` every part learns alone; on digits this is better than training
    the sum.

    Parameters
    ----------
    critics : sequence of str, Critic, Module or callable
        One for each part. Parts have nearly equal widths; the first ones are the wider.

    Examples
    --------
    >>> critic = Split().build(6, 6)
    >>> critic(torch.zeros(5, 6), torch.zeros(9, 6)).shape
    torch.Size([5, 9])
    >>> [z.shape for z, _, _ in critic.cut(torch.zeros(5, 6), torch.zeros(9, 6))]
    [torch.Size([5, 3]), torch.Size([5, 3])]
    """

    critics: Any = ("cauchy", Cosine(temperature=0.5))

    def build(self, d_x: int, d_y: int) -> nn.Module:
        """Return the module; see `Critic.build`.

        Raises
        ------
        ValueError
            If there is no critic, or if a code has fewer components than there are critics.
        """
        if isinstance(self.critics, str) or not isinstance(self.critics, Sequence):
            raise ValueError(f"critics={self.critics!r}; expected a sequence of critics.")
        k = len(self.critics)
        if not 1 <= k <= min(d_x, d_y):
            raise ValueError(
                f"critics={self.critics!r} cut codes of {d_x} and {d_y} components into {k} parts; "
                "expected 1 to as many as there are components."
            )
        widths = list(zip(equal_parts(d_x, k), equal_parts(d_y, k), strict=True))
        parts = [
            as_critic(critic, f"critics[{i}]").build(*width)
            for i, (critic, width) in enumerate(zip(self.critics, widths, strict=True))
        ]
        return _Split(parts, widths)


@dataclass(repr=False, eq=False)
class Ready(Critic):
    """Use a network of your own; ``critic=module`` does the same.

    `build` returns a deep copy, weights included. Your module itself is never trained.

    Parameters
    ----------
    module : Module
        ``module(z_x, z_y)`` gives scores (n, m) from codes (n, d_x) and (m, d_y).
    """

    module: nn.Module

    def build(self, d_x: int, d_y: int) -> nn.Module:
        """Return a copy of the module and check the shape of its scores; see `Critic.build`."""
        built = copied(self.module)
        _check_scores(built, d_x, d_y)
        return built


@dataclass(repr=False, eq=False)
class Factory(Critic):
    """Use a function that makes the network; ``critic=function`` does the same.

    A function defined in a module can be pickled, a lambda cannot.

    Parameters
    ----------
    function : callable
        ``function(d_x, d_y) -> nn.Module``, or a class whose constructor takes these two
        arguments.
    """

    function: Callable[[int, int], nn.Module]

    def build(self, d_x: int, d_y: int) -> nn.Module:
        """Return a checked copy of the function's module; see `Critic.build`."""
        return Ready(made_by(self.function, "critic", d_x=d_x, d_y=d_y)).build(d_x, d_y)


def as_critic(value: Any, parameter: str = "critic") -> Critic:
    """Return the critic that a name, an object or a function means.

    Parameters
    ----------
    value : str, Critic, Module or callable
        A name in `CRITICS`; a description; a network (see `Ready`); or a function
        ``(d_x, d_y) -> nn.Module`` (see `Factory`).
    parameter : str
        Name of the parameter in error messages.

    Raises
    ------
    ValueError
        If a name is unknown.
    TypeError
        If the value is none of these.

    Examples
    --------
    >>> as_critic("bilinear"), as_critic(Concat(hidden=(50,)))
    (Bilinear(), Concat(hidden=(50,)))
    """
    return as_description(
        parameter,
        value,
        CRITICS,
        Critic,  # type: ignore[type-abstract]
        ready=Ready,
        factory=Factory,
        expected="a Critic object such as Bilinear(), an nn.Module, or a function (d_x, d_y) -> "
        "nn.Module",
    )


CRITICS: dict[str, Callable[[], Critic]] = {
    "inner": InnerProduct,
    "cosine": Cosine,
    "bilinear": Bilinear,
    "separable": Separable,
    "split": Split,
    "cauchy-cosine": partial(Split, ("cauchy", Cosine(temperature=1.0))),
    "concat": Concat,
    "cauchy": Cauchy,
}
