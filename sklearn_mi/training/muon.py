"""Muon: momentum whose matrices are made orthogonal before they are added to the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.adam import adam

__all__ = ["Muon", "orthogonalised"]

# The quintic of Jordan et al.: a few steps bring singular values near 1, not exactly to 1.
QUINTIC = (3.4445, -4.7750, 2.0315)


def orthogonalised(matrix: Tensor, steps: int = 3, block: int = 64) -> Tensor:
    r"""Return a matrix with about the same singular vectors and singular values near 1.

    It uses Newton-Schulz in Gram form: with :math:`G = X X^\top` on the short side of :math:`X`,
    each step multiplies by :math:`aI + bG + cG^2`. Only the small :math:`G` is multiplied in each
    step, the matrix itself once, at the end. A short side longer than ``block`` is cut into blocks
    of equal length, each made orthogonal alone. The work then grows with the matrix, not with the
    cube of its short side.

    Parameters
    ----------
    matrix : Tensor of shape (m, n)
    steps : int, default=3
    block : int, default=64

    Returns
    -------
    update : Tensor of shape (m, n)

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.training import orthogonalised
    >>> values = torch.linalg.svdvals(orthogonalised(torch.tensor([[3.0, 0.0], [0.0, 2.0]]), 5))
    >>> bool(((values > 0.6) & (values < 1.3)).all())
    True
    """
    is_tall = len(matrix) > matrix.shape[1]
    rows = matrix.T if is_tall else matrix
    m, n = rows.shape
    parts = math.ceil(m / block)
    length = math.ceil(m / parts)
    padded = functional.pad(rows, (0, 0, 0, parts * length - m)) if parts * length > m else rows
    x = padded.reshape(parts, length, n)
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
    update = torch.bmm(_polynomial(torch.bmm(x, x.mT), steps), x).reshape(-1, n)[:m]
    return update.T if is_tall else update


def _polynomial(gram: Tensor, steps: int) -> Tensor:
    """Return the factor by which the steps multiply a matrix, from its Gram matrix alone."""
    a, b, c = QUINTIC
    identity = a * torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    product: Tensor | None = None
    for left in reversed(range(steps)):
        step = torch.baddbmm(b * gram, gram, gram, alpha=c) + identity
        product = step if product is None else torch.bmm(step, product)
        if left:
            gram = torch.bmm(torch.bmm(step, gram), step)
    assert product is not None
    return product


def _is_matrix(weight: Tensor) -> bool:
    """Return whether a weight is a matrix, or a kernel that maps patches to channels."""
    return weight.ndim >= 2 and len(weight) > 1 and weight[0].numel() > 1


class Muon(Optimizer):
    r"""Optimise by orthogonal momentum: all directions of a matrix move by about the same amount.

    .. math:: W \leftarrow (1 - \eta\lambda) W - \eta \sqrt{\max(1, m / n)}\;
        \mathrm{orth}(g + \mu B), \qquad B \leftarrow \mu B + g

    Use it for short trainings, with a falling rate, ``schedule="linear"``. Most of a gradient lies
    in a few directions; made orthogonal it moves all of them, so few steps suffice. Convolution
    kernels count as matrices of (out, in x height x width). Adam updates the other weights, biases
    and scales, at a fixed share of the rate. Every step moves a matrix by the same length, even if
    its gradient is small. So over many steps weights grow unless they decay.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
    lr : float, default=0.02
        Learning rate of matrices.
    momentum : float, default=0.9
    nesterov : bool, default=True
    weight_decay : float, default=0.0
        Weight decay of matrices, decoupled from the gradient.
    steps, block : int, default=3, 64
        See `orthogonalised`.
    share : float, default=0.2
        Share of ``lr`` at which Adam updates the other weights.
    betas : tuple of float, default=(0.9, 0.999)
        Decay rates of Adam.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    Muon: An optimizer for hidden layers in neural networks (Jordan et al., 2024).
    https://kellerjordan.github.io/posts/muon/

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.training import Muon
    >>> layer = torch.nn.Linear(3, 2)
    >>> optimizer = Muon(layer.parameters(), lr=0.5)
    >>> layer(torch.ones(1, 3)).sum().backward()
    >>> optimizer.step()
    >>> [(len(group["params"]), group["lr"]) for group in optimizer.param_groups]
    [(1, 0.5), (1, 0.1)]
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.02,
        momentum: float = 0.9,
        nesterov: bool = True,
        weight_decay: float = 0.0,
        steps: int = 3,
        block: int = 64,
        share: float = 0.2,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        for name, value, is_legal, expected in (
            ("lr", lr, lr >= 0, "0 or more"),
            ("momentum", momentum, 0 <= momentum < 1, "a number in [0, 1)"),
            ("weight_decay", weight_decay, weight_decay >= 0, "0 or more"),
            ("steps", steps, steps >= 1, "at least 1"),
            ("block", block, block >= 1, "at least 1"),
            ("share", share, share >= 0, "0 or more"),
        ):
            if not is_legal:
                raise ValueError(f"{name}={value!r}; expected {expected}.")
        shared = {"weight_decay": weight_decay, "share": share}
        of_matrices = {"momentum": momentum, "nesterov": nesterov, "steps": steps, "block": block}
        groups = _split(params, {"lr": lr, **shared}, of_matrices, {"betas": betas})
        super().__init__(list(groups), {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step.

        Parameters
        ----------
        closure : callable or None, default=None
            Computes the loss again.

        Returns
        -------
        loss : object
            The return value of the closure.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            (self._move_matrices if group["is_matrix"] else self._move_rest)(group)
        return loss

    def _move_matrices(self, group: dict[str, Any]) -> None:
        rate, momentum, decay = group["lr"], group["momentum"], group["weight_decay"]
        for weight in group["params"]:
            if weight.grad is None:
                continue
            state = self.state[weight]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(weight)
            buffer = state["momentum_buffer"].mul_(momentum).add_(weight.grad)
            moved = weight.grad.add(buffer, alpha=momentum) if group["nesterov"] else buffer
            update = orthogonalised(moved.flatten(1), group["steps"], group["block"])
            wide = math.sqrt(max(1.0, update.shape[0] / update.shape[1]))
            if decay:
                weight.mul_(1 - rate * decay)
            weight.sub_(update.reshape(weight.shape) * (rate * wide))

    def _move_rest(self, group: dict[str, Any]) -> None:
        weights = [weight for weight in group["params"] if weight.grad is not None]
        for weight in weights:
            if not self.state[weight]:
                self.state[weight].update(
                    step=torch.zeros((), dtype=torch.float32, device=weight.device),
                    exp_avg=torch.zeros_like(weight),
                    exp_avg_sq=torch.zeros_like(weight),
                )
        states = [self.state[weight] for weight in weights]
        first, second = group["betas"]
        adam(
            weights,
            [weight.grad for weight in weights],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=first,
            beta2=second,
            lr=group["lr"],
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )


def _split(
    params: Iterable[Any],
    shared: dict[str, Any],
    of_matrices: dict[str, Any],
    of_rest: dict[str, Any],
) -> Iterator[dict[str, Any]]:
    """Split each given group into one of the matrices and one of the other weights."""
    given = list(params)
    groups = given if given and isinstance(given[0], dict) else [{"params": given}]
    for group in groups:
        settings = {**shared, **{k: v for k, v in group.items() if k != "params"}}
        weights = group["params"]
        weights = [weights] if isinstance(weights, Tensor) else list(weights)
        rate = settings["lr"]
        parts = (
            (True, rate, of_matrices),
            (False, rate * settings["share"], of_rest),
        )
        for is_matrix, lr, defaults in parts:
            mine = [weight for weight in weights if _is_matrix(weight) == is_matrix]
            if mine:
                merged = {**defaults, **settings, "lr": lr, "is_matrix": is_matrix}
                yield {**merged, "params": mine}
