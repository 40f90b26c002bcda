"""A context against later steps of a feature map: contrastive predictive coding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from sklearn_mi._base import Codes, Objective, Shape, check_name, positive_integer
from sklearn_mi.comparisons.base import Comparison, ComparisonModule, Maps, refuse_codes, scored
from sklearn_mi.runtime import is_recorded

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Predictive"]

MOST_STEPS = 12
NEGATIVES = ("other", "same", "any")
DEPENDENT = "negatives from the same row depend on it"


class _Recurrent(nn.Module):
    """A GRU over steps, from (b, channels, steps) to (b, steps, width)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.network = nn.GRU(channels, width, batch_first=True)

    def forward(self, steps: Tensor) -> Tensor:
        return self.network(steps.transpose(1, 2))[0]


class _Convolutions(nn.Module):
    """Two causal convolutions over steps, from (b, channels, steps) to (b, steps, width)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        before = nn.ConstantPad1d((2, 0), 0.0)
        first, second = nn.Conv1d(channels, width, 3), nn.Conv1d(width, width, 3)
        self.network = nn.Sequential(before, first, nn.ReLU(), before, second)

    def forward(self, steps: Tensor) -> Tensor:
        return self.network(steps).transpose(1, 2)


CONTEXTS: dict[str, type[_Recurrent] | type[_Convolutions]] = {
    "gru": _Recurrent,
    "conv": _Convolutions,
}


class _Picker:
    """Which places of which rows are the negatives of each row, by uniform draws.

    Row i takes one place from each of several rows, or several places of its own. Rows stand in a
    random circle, and those after row i are taken: leaving out some rows, as the jackknife does,
    then changes few of the choices.
    """

    def __init__(self, negatives: str, number: int, n_places: int) -> None:
        self.negatives, self.number, self.n_places = negatives, number, n_places
        self.n_draws = {"other": 3, "any": 4, "same": n_places}[negatives]

    def candidates(self, n: int) -> int:
        """Return the number of candidates of a row in a block of n."""
        return 1 + min(self.number, {"other": n - 1, "any": n, "same": self.number}[self.negatives])

    def __call__(
        self, draws: Tensor, offsets: range, n_places: int, seen: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return rows and places of each offset, both of shape (n_offsets, n, number).

        Parameters
        ----------
        draws : Tensor of shape (n, n_offsets * n_draws)
        offsets : range
            Where the targets of each offset begin.
        n_places : int
            Places of a map of this batch, whose recordings may be longer than those of ``fit``.
        seen : Tensor of bool of shape (n, n_places), default=None
            Observed places, which come first among places of the same row.
        """
        draws = draws.unflatten(1, (len(offsets), -1)).movedim(1, 0)
        n = draws.shape[1]
        if self.negatives == "same":
            if n_places > self.n_places:
                raise ValueError(
                    f"negatives='same' draws among the {self.n_places} places of a map, as in fit, "
                    f"but these recordings give {n_places}; expected recordings no longer than in "
                    "fit: cut them, or take negatives='other'."
                )
            later = draws if seen is None else draws + ~seen
            places = later.argsort(2)[..., : self.number]
            return torch.arange(n, device=draws.device)[:, None].expand_as(places), places
        number = self.candidates(n) - 1
        order, mine, theirs, *is_own = draws.unbind(2)
        circle = order.argsort(1)
        ahead = torch.arange(1, number + 1, device=draws.device)
        if is_own:
            ahead = ahead - (is_own[0][..., None] * n < number).long()
        around = (circle.argsort(1)[..., None] + ahead) % n
        rows = circle.gather(1, around.flatten(1)).view_as(around)
        share = mine[..., None] + theirs.gather(1, rows.flatten(1)).view_as(rows)
        begin = torch.arange(offsets.start, offsets.stop, offsets.step, device=draws.device)
        if self.negatives == "any":
            begin = torch.zeros_like(begin)
        left = (n_places - begin)[:, None, None]
        within = torch.minimum((share.frac() * left).long(), left - 1)
        return rows, begin[:, None, None] + within


class _PredictiveModule(ComparisonModule):
    """The context network and, for each offset, a matrix from contexts to predicted codes."""

    owns_scores: ClassVar[bool] = True
    rows_alone = True

    def __init__(self, of: Predictive, offsets: range, shape_x: Shape, shape_y: Shape) -> None:
        super().__init__()
        n_places = math.prod(shape_y[1:])
        self.layer, self.n_columns = of.layer, math.prod(shape_y[2:])
        self.offsets = offsets
        self.pick = _Picker(of.negatives, of.n_negatives, n_places)
        self.n_draws = len(offsets) * self.pick.n_draws
        self.caveat = None if of.negatives == "other" else DEPENDENT
        width = shape_x[0] if of.width is None else of.width
        self.context = CONTEXTS[of.context](shape_x[0], width)
        self.predict = nn.ModuleList(nn.Linear(width, shape_y[0], bias=False) for _ in offsets)

    def forward(self, codes: Codes, rows: Tensor | None) -> list[Codes]:
        contexts = self.contexts(codes.maps_x[self.layer])
        z = codes.maps_y[self.layer].flatten(2).transpose(1, 2)
        step = self.n_columns
        begin = range(self.offsets.start * step, self.offsets.stop * step, step)
        rows, places = self.pick(codes.draws, begin, z.shape[1], codes.seen_y)  # type: ignore[arg-type]
        each = zip(begin, self.predict, rows, places, strict=True)
        made = [
            self._of_step(ahead, predict(contexts[:, :-ahead]), picked, where, z, codes)
            for ahead, predict, picked, where in each
        ]
        return made if codes.seen_x is None and codes.seen_y is None else _reached(made)

    def contexts(self, maps: Tensor) -> Tensor:
        """Return the context at every place, of shape (n, places, width)."""
        columns = maps.unflatten(2, (maps.shape[2], -1)) if maps.ndim == 3 else maps
        n, _, _, n_columns = columns.shape
        made = self.context(columns.movedim(3, 1).flatten(0, 1)).unflatten(0, (n, n_columns))
        return made.transpose(1, 2).flatten(1, 2)

    def _of_step(
        self,
        ahead: int,
        predicted: Tensor,
        rows: Tensor,
        places: Tensor,
        z: Tensor,
        codes: Codes,
    ) -> Codes:
        """Return the scores of the places that lie ``ahead`` of their contexts."""
        targets = z[:, ahead:]
        joint = (predicted * targets).sum(2, keepdim=True)
        scores = torch.cat([joint, predicted @ z[rows, places].transpose(1, 2)], dim=2)
        positives = torch.zeros_like(scores, dtype=torch.bool)
        positives[..., 0] = True
        negatives, allowed, seen = None, codes.negatives, _seen_places(codes)
        if allowed is not None or seen is not None or self.pick.negatives != "other":
            reached = torch.arange(ahead, z.shape[1], device=z.device)
            negatives = self._negatives(rows, places, reached, allowed) & ~positives
        if seen is not None:
            observed = self._observed(rows, places, ahead, seen)
            positives, negatives = positives & observed, negatives & observed  # type: ignore[operator]
        cells = (None if c is None else c.flatten(0, 1) for c in (scores, positives, negatives))
        return scored(*cells)  # type: ignore[arg-type]

    def _observed(
        self, rows: Tensor, places: Tensor, ahead: int, seen: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Return which candidates were observed, of shape (n, contexts, 1 + number).

        None of a context that was not, or whose target was not. Other rows give places that lie
        ``ahead`` of an observed context, as targets do.
        """
        takes_part = seen[0][:, :-ahead] & seen[1][:, ahead:]
        from_other = self.pick.negatives == "other"
        usable = takes_part[rows, places - ahead] if from_other else seen[1][rows, places]
        usable = torch.cat([torch.ones_like(usable[:, :1]), usable], dim=1)
        return takes_part[..., None] & usable[:, None]

    def _negatives(
        self, rows: Tensor, places: Tensor, reached: Tensor, allowed: Tensor | None
    ) -> Tensor:
        """Return which candidates are not the target itself, and allowed; the first is the target.

        Of shape (n, contexts, 1 + number). ``reached`` are the places of the contexts' targets.
        """
        is_own = rows == torch.arange(len(rows), device=rows.device)[:, None]
        negatives = ~(is_own[:, None] & (places[:, None] == reached[:, None]))
        if allowed is not None:
            negatives = negatives & (allowed.gather(1, rows) | is_own)[:, None]
        return torch.cat([torch.ones_like(negatives[..., :1]), negatives], dim=2)

    def candidates(self, n: int) -> int:
        """Return the partner and its negatives."""
        return self.pick.candidates(n)


def _seen_places(codes: Codes) -> tuple[Tensor, Tensor] | None:
    """Return which steps of both views were observed; None: all of both."""
    x, y = codes.seen_x, codes.seen_y
    if x is None:
        return None if y is None else (torch.ones_like(y), y)
    return x, torch.ones_like(x) if y is None else y


def _reached(compared: list[Codes]) -> list[Codes]:
    """Return the codes of the offsets that some recording reaches."""
    reached: Any = torch.stack([one.positives.any() for one in compared])  # type: ignore[union-attr]
    if is_recorded(reached):
        # Such a step cannot look at numbers: an offset out of reach gets no weight.
        for one, is_reached in zip(compared, reached, strict=True):
            one.positives[0, 0] |= ~is_reached  # type: ignore[index]
            one.weight = is_reached.float()
        return compared
    kept = reached.tolist()
    if not any(kept):
        raise ValueError(
            "No recording of the batch has two observed steps as far apart as an offset of "
            "comparison='cpc'; expected longer recordings, a smaller skip, an encoder with a "
            "smaller stride, or larger batches."
        )
    return [one for one, is_reached in zip(compared, kept, strict=True) if is_reached]


@dataclass(repr=False, eq=False)
class Predictive(Comparison):
    r"""Predict later steps of a feature map from a context: contrastive predictive coding.

    .. math:: f_k(c_t, z_{t+k}) = z_{t+k}^\top W_k c_t

    Use it on recordings, whose steps are moments, and on images, whose steps are rows of patches:
    there a context runs down each column. :math:`z_t` is the map at a place, :math:`c_t` a
    network's summary of the steps up to t of its column, and :math:`W_k` a matrix for each offset.
    The value is the mean over offsets, each of which counts once. Contexts come from the first view
    and targets from the second; take the view `sklearn_mi.views.Same` for one and the same map. The
    encoder gives the code, which ``transform`` returns; ``critic`` does not matter.

    With ``negatives="other"`` each offset gives a bound on the information between the context at a
    random place and the code k steps later, in nats: a row is compared with one random place, among
    those that lie k steps after a context, of each of several other rows. Negatives of the same row
    depend on it, so the value is no bound then.

    Steps that were not observed take no part in recordings of unequal lengths: neither as contexts,
    nor as targets, nor as negatives. A recording that is shorter than an offset drops out of it.
    Places of other rows are drawn among all places and kept where observed, so that every observed
    place is equally likely; a context has fewer negatives then.

    Parameters
    ----------
    steps : int, default=None
        Number of offsets. None: all that the map has, at most 12.
    context : {"gru", "conv"}, default="gru"
        "conv": two causal convolutions of kernel 3, which see the last five steps.
    negatives : {"other", "same", "any"}, default="other"
        Places of other rows of the batch, of the same row, or of rows of the whole batch. A place
        that is the target itself is left out.
    n_negatives : int, default=16
        Negatives of each context, drawn anew for each row and offset; contexts of a row share them.
        Of other rows at most one place each, so a small batch has fewer.
    skip : int, default=0
        Offsets left out: 1 starts two steps ahead. Take 1 for patches that overlap by half: what
        two of them share need not be predicted.
    width : int, default=None
        Width of the context. None: the channels of the map.
    layer : str, default="map"
        Layer of the encoder whose map is used; see `Encoder.layers`. `sklearn_mi.encoders.Patches`,
        `sklearn_mi.encoders.Conv1d` and `sklearn_mi.encoders.GRU` have theirs at "map".

    References
    ----------
    Representation Learning with Contrastive Predictive Coding (van den Oord et al., 2018),
    https://arxiv.org/abs/1807.03748. Its images have a context of all patches above, ours of those
    in one column, as in Putting An End to End-to-End (Löwe, O'Connor & Veeling, 2019),
    https://arxiv.org/abs/1905.11786.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi import MIRepresentationLearner
    >>> from sklearn_mi.comparisons import Predictive
    >>> X = np.random.default_rng(0).normal(size=(60, 24, 3))
    >>> learner = MIRepresentationLearner(
    ...     8, view="same", encoder="conv1d", comparison=Predictive(steps=3), objective="infonce",
    ...     front_end=None, max_steps=5, random_state=0,
    ... )
    >>> learner.fit(X).transform(X).shape
    (60, 8)
    """

    steps: int | None = None
    context: str = "gru"
    negatives: str = "other"
    n_negatives: int = 16
    skip: int = 0
    width: int | None = None
    layer: str = "map"

    @property
    def method(self) -> str:
        """Return "cpc"."""
        return "cpc"

    @property
    def layers(self) -> tuple[str, ...]:
        """Return the layer whose map is used."""
        return (self.layer,)

    def build(self, shapes: Sequence[Shape], maps: Sequence[Maps] = ()) -> ComparisonModule:
        """Return the module, which owns context network and matrices; see `Comparison.build`.

        Raises
        ------
        ValueError
            If a parameter is out of range, the maps of the two views differ in their places, or the
            map has too few steps.
        """
        shape_x, shape_y = (of_view[self.layer] for of_view in maps)
        if shape_x[1:] != shape_y[1:]:
            raise ValueError(
                f"layer={self.layer!r} gives maps of {shape_x[1:]} and {shape_y[1:]} places in the "
                "two views; expected equal ones: take views of one shape."
            )
        self._check(math.prod(shape_y[1:]))
        return _PredictiveModule(self, self._offsets(shape_y[1]), shape_x, shape_y)

    def check(self, objective: Objective, critic: nn.Module) -> None:
        """Reject an objective of codes or columns, or one with a head or a state.

        Raises
        ------
        ValueError
        """
        refuse_codes(objective, repr(self), rows_alone=True)

    def check_negatives(self, negatives: Any) -> None:
        """Reject negatives beyond the batch, or chosen by whole codes.

        Raises
        ------
        ValueError
        """
        if negatives.needs_whole_codes or negatives.build(1).n_extra:
            raise ValueError(
                f"negatives={negatives!r} does not go with {self!r}, which draws its own; expected "
                "'batch' or 'other-groups': set n_negatives of the comparison."
            )
        if self.negatives == "same" and negatives.needs_groups:
            raise ValueError(
                f"negatives={negatives!r} chooses among other rows, and {self!r} takes places of "
                "the same row; expected 'batch', or Predictive(negatives='other')."
            )

    def _check(self, n_places: int) -> None:
        check_name("context", self.context, CONTEXTS)
        check_name("negatives", self.negatives, NEGATIVES)
        positive_integer("n_negatives", self.n_negatives)
        if self.width is not None:
            positive_integer("width", self.width)
        if self.negatives == "same" and self.n_negatives >= n_places:
            raise ValueError(
                f"n_negatives={self.n_negatives} with negatives='same', but the map has "
                f"{n_places} places; expected at most {n_places - 1}: take fewer, or "
                "negatives='other'."
            )

    def _offsets(self, length: int) -> range:
        """Return how many steps ahead the predictions look."""
        if not isinstance(self.skip, Integral) or isinstance(self.skip, bool) or self.skip < 0:
            raise ValueError(f"skip={self.skip!r}; expected an integer of at least 0.")
        most = length - 1 - self.skip
        if most < 1:
            raise ValueError(
                f"layer={self.layer!r} gives a map of {length} {_steps(length)}, which with "
                f"skip={self.skip} leaves nothing to predict; expected at least {self.skip + 2}: "
                "take longer rows, a finer map or a smaller skip."
            )
        steps = min(most, MOST_STEPS)
        if self.steps is not None:
            steps = positive_integer("steps", self.steps)
        if steps > most:
            raise ValueError(
                f"steps={steps}, but a map of {length} steps with skip={self.skip} has {most} "
                f"{_steps(most)} ahead; expected at most {most}, or None for all."
            )
        return range(int(self.skip) + 1, int(self.skip) + 1 + steps)


def _steps(number: int) -> str:
    return "step" if number == 1 else "steps"
