"""A code against the places of a feature map: Deep InfoMax and AMDIM."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from sklearn_mi._base import Codes, Objective, Shape, a_number, check_name, positive_integer
from sklearn_mi.comparisons.base import (
    Comparison,
    ComparisonModule,
    Maps,
    refuse_codes,
    scored,
)
from sklearn_mi.layers import mlp
from sklearn_mi.runtime import is_recorded
from sklearn_mi.tiles import is_large

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LocalGlobal"]

CODE = "code"
SCORERS = ("encode-and-dot", "concat-and-convolve")
PLACES = ("all", "one")
CONVOLVED = 512
JUDGE = (1000, 200)
DEPENDENT = "the places of one image are candidates that depend on one another"


class _Embedding(nn.Module):
    """A network of two layers beside a linear map that starts as the identity."""

    def __init__(self, n_in: int, units: int, *, of_map: bool) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(n_in, units, bias=False),
            nn.BatchNorm1d(units),
            nn.ReLU(inplace=True),  # of many places, so each copy counts
            nn.Linear(units, units),
        )
        self.shortcut = nn.Linear(n_in, units, bias=False)
        nn.init.eye_(self.shortcut.weight)
        self.norm = nn.LayerNorm(units) if of_map else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, units) of codes or places of shape (b, channels)."""
        return self.norm(self.network(x) + self.shortcut(x))


class _Dot(nn.Module):
    """The inner product; with a clip c, ``c tanh(s / c)`` of the product over the root of d."""

    def __init__(self, clip: float | None) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, z_x: Tensor, z_y: Tensor) -> Tensor:
        return self.clipped(z_x @ z_y.T, z_x.shape[1])

    def clipped(self, products: Tensor, width: int) -> Tensor:
        """Return the scores of inner products of codes of a width."""
        if self.clip is None:
            return products
        return self.clip * torch.tanh(products / (math.sqrt(width) * self.clip))


def _mean_square(z_x: Tensor, z_y: Tensor) -> Tensor:
    """Return the mean squared inner product, by the second moments of both sides."""
    return ((z_x.T @ z_x) * (z_y.T @ z_y)).sum() / (len(z_x) * len(z_y))


class _Judge(nn.Module):
    """The discriminator of a prior: it tells codes, squeezed into (0, 1), from uniform draws."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.network = mlp((width, *JUDGE, 1))

    def forward(self, z: Tensor, draws: Tensor, weight: float) -> Tensor:
        """Return what training maximises: for the encoder times the weight, and for the judge."""
        z = torch.sigmoid(z)
        fixed = {name: w.detach() for name, w in self.network.named_parameters()}
        fooled: Any = functional_call(self.network, fixed, (z,))
        real, made = self.network(draws), self.network(z.detach())
        judged = functional.logsigmoid(real).mean() + functional.logsigmoid(-made).mean()
        return weight * functional.logsigmoid(fooled).mean() + judged


class _WholeMap(nn.Module):
    """Encode a whole map by a convolution and a dense layer."""

    def __init__(self, shape: Shape, units: int) -> None:
        super().__init__()
        self.shape = shape
        channels, *sides = shape
        kernel = tuple(min(4, side) for side in sides)
        convolution: Any = (nn.Conv1d, nn.Conv2d)[len(sides) - 1]
        self.convolved = nn.Sequential(
            convolution(channels, 2 * channels, kernel, stride=2), nn.ReLU(), nn.Flatten()
        )
        left = [(side - k) // 2 + 1 for side, k in zip(sides, kernel, strict=True)]
        self.dense = nn.Linear(2 * channels * math.prod(left), units)

    def forward(self, maps: Tensor) -> Tensor:
        if maps.shape[1:] != self.shape:
            raise ValueError(
                f"weight_global is above 0, so whole maps of shape {self.shape} are encoded, as in "
                f"fit, but these rows give {tuple(maps.shape[1:])}; expected recordings no longer "
                "than in fit: cut them, or set weight_global=0."
            )
        return self.dense(self.convolved(maps))


class _Side(NamedTuple):
    """One direction: a code, the maps beside it, and the maps that it is scored against."""

    z: Tensor
    sources: Mapping[str, Tensor]
    targets: Mapping[str, Tensor]


class _LocalGlobalModule(ComparisonModule):
    owns_scores: ClassVar[bool] = True

    def __init__(self, of: LocalGlobal, width: int, maps: Maps) -> None:
        super().__init__()
        self.of, self.is_one = of, of.places == "one"
        self.caveat = None if self.is_one or not of.weight_local else DEPENDENT
        self.places = {layer: math.prod(shape[1:]) for layer, shape in maps.items()}
        self.is_convolved = self.rows_alone = of.scorer == "concat-and-convolve"
        channels = {CODE: width} | {layer: shape[0] for layer, shape in maps.items()}
        if self.is_convolved:
            named = {_key(f"{s}-{t}"): (channels[s], channels[t]) for s, t in of.pairs}
            self.heads = nn.ModuleDict({name: _Convolved(*both) for name, both in named.items()})
        else:
            self.sources, self.targets = (
                nn.ModuleDict(
                    {
                        _key(name): _Embedding(channels[name], of.units, of_map=name != CODE)
                        for name in dict.fromkeys(names)
                    }
                )
                for names in zip(*of.pairs, strict=True)
            )
        self.dot = _Dot(of.clip)
        if of.weight_global:
            self.code = _Embedding(width, of.units, of_map=False)
            self.whole = _WholeMap(maps[of.layers[0]], of.units)
        self.judge = _Judge(width) if of.weight_prior else None
        self.n_chosen = 2 * len(of.pairs)
        self.n_draws = (1 + of.both_views) * (self.n_chosen + bool(of.weight_prior) * width)

    def forward(self, codes: Codes, rows: Tensor | None) -> list[Codes]:
        for seen in (codes.seen_x, codes.seen_y):
            if seen is not None:
                self._refuse_unobserved(seen)
        sides = [_Side(codes.z_x, codes.maps_x, codes.maps_y)]
        if self.of.both_views:
            sides.append(_Side(codes.z_y, codes.maps_y, codes.maps_x))
        draws = codes.draws.chunk(len(sides), dim=1)  # type: ignore[union-attr]
        each = zip(sides, draws, strict=True)
        return [one for side, own in each for one in self._of_side(side, codes.negatives, own)]

    def _refuse_unobserved(self, seen: Tensor) -> None:
        # A step that is being recorded for a GPU cannot look; those before it did.
        if not is_recorded(seen) and not seen.all():
            raise ValueError(
                f"{self.of!r} compares all places of a map, but some steps of the recordings were "
                "not observed; expected recordings as long as the longest in fit and a view that "
                "hides no steps, or take comparison='cpc'."
            )

    def _of_side(self, side: _Side, negatives: Tensor | None, draws: Tensor) -> list[Codes]:
        """Return the codes of one direction."""
        of, made = self.of, []
        if of.weight_local:
            embedded = {} if self.is_one or self.is_convolved else self._embedded(side)
            for number, pair in enumerate(of.pairs):
                chosen = draws[:, 2 * number : 2 * number + 2]
                made.append(self._pair(side, *pair, negatives, chosen, embedded))
        if of.weight_global:
            whole = self.whole(side.targets[of.layers[0]])
            masks: Any = {"negatives": negatives, "weight": of.weight_global}
            made.append(Codes(self.code(side.z), whole, self.dot, **masks))
        if self.judge is not None:
            term = self.judge(side.z, draws[:, self.n_chosen :], of.weight_prior)
            made[0].added = term if made[0].added is None else made[0].added + term
        return made

    def _embedded(self, side: _Side) -> dict[str, Tensor]:
        """Return every place of each target, embedded once for all of its sources."""
        targets = dict.fromkeys(target for _, target in self.of.pairs)
        return {target: self._embed(target, side.targets[target].flatten(2)) for target in targets}

    def _embed(self, target: str, local: Tensor) -> Tensor:
        """Return the embeddings of all places, those of a row one after the other."""
        return self.targets[_key(target)](local.transpose(1, 2).flatten(0, 1))

    def _pair(
        self,
        side: _Side,
        source: str,
        target: str,
        negatives: Tensor | None,
        draws: Tensor,
        embedded: Mapping[str, Tensor],
    ) -> Codes:
        """Score a source against the places of a target, of shape (n, channels, places)."""
        local = side.targets[target].flatten(2)
        if self.is_one:
            local = _chosen(local, draws[:, 1])[..., None]
        anchor = side.z
        if source != CODE:
            anchor = _chosen(side.sources[source].flatten(2), draws[:, 0])
        if self.is_convolved:
            head = self.heads[_key(f"{source}-{target}")]
            return self._by_convolution(head, anchor, local, negatives)
        places = local.shape[2]
        flat = embedded.get(target)
        if flat is None:
            flat = self._embed(target, local)
        made = self._scored(self.sources[_key(source)](anchor), flat)
        made.weight, made.negatives = self.of.weight_local, negatives
        if not self.is_one:
            made.positives = _own_places(len(anchor), places, flat.device)
            if negatives is not None:
                made.negatives = negatives.repeat_interleave(places, dim=1)
        return made

    def _scored(self, z_x: Tensor, z_y: Tensor) -> Codes:
        """Return the codes, with scores out of the products that the penalty needs."""
        made, width = Codes(z_x, z_y, self.dot), z_x.shape[1]
        if not self.of.penalty:
            return made
        if is_large(made):
            square = _mean_square(z_x, z_y)
        else:
            products = z_x @ z_y.T
            square = products.square().mean()
            made = Codes(z_x, z_y, self.dot, scores=self.dot.clipped(products, width))
        made.added = -self.of.penalty / width * square
        return made

    def _by_convolution(
        self, head: nn.Module, anchor: Tensor, local: Tensor, negatives: Tensor | None
    ) -> Codes:
        """Score a code against the places of its own image and of the next one it may meet."""
        following, allowed = local.roll(-1, dims=0), None
        if negatives is not None:
            chosen, allowed = _next_allowed(negatives)
            following = local[chosen]
        own, other = head(anchor, local), head(anchor, following)
        scores = torch.cat([own, other], dim=1)
        is_own = torch.zeros_like(scores, dtype=torch.bool)
        is_own[:, : own.shape[1]] = True
        others = ~is_own if allowed is None else ~is_own & allowed[:, None]
        return scored(scores, is_own, others, weight=self.of.weight_local)

    def candidates(self, n: int) -> int:
        if not self.of.weight_local:
            return n
        others = 1 if self.is_convolved else n - 1
        most = 1 if self.is_one else max(self.places[target] for _, target in self.of.pairs)
        return 1 + others * most


class _Convolved(nn.Module):
    """Score each place by 1 x 1 convolutions of the map with the code beside its channels."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        # The first convolution of both, side by side, is the sum of one of each.
        self.of_code = nn.Linear(width, CONVOLVED)
        self.of_map = nn.Conv1d(channels, CONVOLVED, 1, bias=False)
        self.rest = nn.Sequential(
            nn.ReLU(), nn.Conv1d(CONVOLVED, CONVOLVED, 1), nn.ReLU(), nn.Conv1d(CONVOLVED, 1, 1)
        )

    def forward(self, z: Tensor, local: Tensor) -> Tensor:
        """Return the scores of each row's code and map, of shape (b, places)."""
        return self.rest(self.of_code(z)[..., None] + self.of_map(local)).squeeze(1)


def _key(layer: str) -> str:
    """Return a layer's name as that of a module, which has no dots."""
    return layer.replace(".", "/")


def _chosen(maps: Tensor, draws: Tensor) -> Tensor:
    """Return one place of each row's map, by its uniform draw, of shape (b, channels)."""
    place = (draws * maps.shape[2]).long().clamp_max(maps.shape[2] - 1)
    return maps.gather(2, place[:, None, None].expand(-1, maps.shape[1], 1)).squeeze(2)


def _next_allowed(negatives: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first row after each that is a negative of it, in a circle, and if there is one.

    Of shape (n,) each, from a mask of shape (n, n).
    """
    n = len(negatives)
    rows = torch.arange(n, device=negatives.device)
    circle = (rows[:, None] + rows[None, 1:]) % n
    allowed = negatives.gather(1, circle)
    first = allowed.int().argmax(1, keepdim=True)
    return circle.gather(1, first).squeeze(1), allowed.any(1)


def _own_places(n: int, places: int, device: torch.device) -> Tensor:
    """Return the mask of the columns that are places of the row's own image."""
    return torch.eye(n, dtype=torch.bool, device=device).repeat_interleave(places, dim=1)


@dataclass(repr=False, eq=False)
class LocalGlobal(Comparison):
    r"""Score a code against every place of a feature map: Deep InfoMax, and AMDIM.

    Use it on images, and on recordings with an encoder that gives a map. The code learns what the
    places of an image share. With the view `sklearn_mi.views.Same` code and map come from one
    image, as in Deep InfoMax; with augmentations and ``both_views=True`` the code of one view meets
    the map of the other, as in AMDIM. Training maximises

    .. math:: \frac{\beta \, \bar I(g(z); l(m_p)) + \alpha \, I(g'(z); l'(m))}{\alpha + \beta}
        + \gamma \log D(\sigma(z)),

    where the first term is the objective's mean over places p, with negatives from other images
    only; the second scores the code against whole maps; and the discriminator D, trained in the
    same step, tells codes from uniform draws. Networks of its own score, so ``critic`` does not
    matter. Candidates that are places of one image depend on one another, so the value is no bound;
    with ``places="one"`` it is one on the information between the code and a place drawn at random.

    Parameters
    ----------
    layer : str, default="conv2"
        Layer of the encoder whose map is compared; see `Encoder.layers`.
    scorer : {"encode-and-dot", "concat-and-convolve"}, default="encode-and-dot"
        "encode-and-dot": an inner product after a network for each side. "concat-and-convolve":
        1 x 1 convolutions of the map beside the code; each code then meets its own image and one
        other image, since every pair costs a network.
    weight_local, weight_global, weight_prior : float
        :math:`\beta`, :math:`\alpha` and :math:`\gamma`, by default 1, 0 and 0.1. The paper's
        global form has 0, 1 and 1.
    both_views : bool, default=False
        Also score the code of the second view against the map of the first.
    scales : sequence of (str, str), default=None
        Which source meets which target: "code" or a layer, of which one random place an image is
        taken, and a layer. None: ``(("code", layer),)``.
    places : {"all", "one"}, default="all"
        "one": one random place an image, a valid bound.
    units : int, default=512
        Width of the networks of "encode-and-dot"; 2,048 in the paper.
    clip : float, default=None
        Scores are :math:`c \tanh(s / c)` with :math:`s = g^\top l / \sqrt{units}`; 20 in AMDIM.
    penalty : float, default=0.0
        Weight of the mean of :math:`s^2`, before clipping, that training subtracts; .05 in AMDIM.

    References
    ----------
    Learning Deep Representations by Mutual Information Estimation and Maximization (Hjelm et al.,
    2019), https://arxiv.org/abs/1808.06670

    Learning Representations by Maximizing Mutual Information Across Views (Bachman, Hjelm &
    Buchwalter, 2019), https://arxiv.org/abs/1906.00910

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi import MIRepresentationLearner
    >>> X = np.random.default_rng(0).random((40, 12, 12, 3), dtype=np.float32)
    >>> learner = MIRepresentationLearner(comparison="dim", max_steps=2, random_state=0).fit(X)
    >>> learner.transform(X).shape, learner.mi_.objective.status
    ((40, 64), 'neither')
    """

    layer: str = "conv2"
    scorer: str = "encode-and-dot"
    weight_local: float = 1.0
    weight_global: float = 0.0
    weight_prior: float = 0.1
    both_views: bool = False
    scales: Sequence[tuple[str, str]] | None = None
    places: str = "all"
    units: int = 512
    clip: float | None = None
    penalty: float = 0.0

    @property
    def method(self) -> str:
        """Return "amdim" with two views, else "dim"."""
        return "amdim" if self.both_views else "dim"

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return which source meets which target.

        Raises
        ------
        ValueError
            If they are no names, or a target is the code.
        """
        given = f"layer={self.layer!r}" if self.scales is None else f"scales={self.scales!r}"
        pairs: Any = ((CODE, self.layer),) if self.scales is None else self.scales
        if not _are_pairs(pairs):
            raise ValueError(
                f"{given}; expected names: of a layer, such as layer='conv2', or of pairs of "
                "source and target, such as scales=(('code', 'conv1'), ('conv1', 'conv2'))."
            )
        if any(target == CODE for _, target in pairs):
            raise ValueError(
                f"{given} names 'code' as what is compared place by place, but it is no map; "
                "expected a layer of the encoder, such as 'conv2'."
            )
        return tuple((source, target) for source, target in pairs)

    @property
    def layers(self) -> tuple[str, ...]:
        """Return the layers that are compared, each once."""
        named = [name for pair in self.pairs for name in reversed(pair) if name != CODE]
        return tuple(dict.fromkeys(named))

    def build(self, shapes: Sequence[Shape], maps: Sequence[Maps] = ()) -> ComparisonModule:
        """Return the module, which owns the scorers; see `Comparison.build`.

        Raises
        ------
        ValueError
            If a parameter is out of range, or a map has one place.
        """
        self._check()
        for of_view in maps:
            _check_places(of_view)
        if self.both_views and (shapes[0] != shapes[1] or maps[0] != maps[1]):
            raise ValueError(
                f"both_views=True, but the codes of the two views have shapes {shapes[0]} and "
                f"{shapes[1]} and their maps {dict(maps[0])} and {dict(maps[1])}; expected views "
                "of one shape: set both_views=False."
            )
        return _LocalGlobalModule(self, shapes[0][0], maps[1])

    def check(self, objective: Objective, critic: nn.Module) -> None:
        """Reject an objective of codes, or one with a head or a state."""
        is_convolved = self.scorer == "concat-and-convolve"
        refuse_codes(objective, repr(self), rows_alone=is_convolved)

    def check_negatives(self, negatives: Any) -> None:
        """Reject negatives beyond the batch, or chosen by whole codes."""
        if negatives.needs_whole_codes or negatives.build(1).n_extra:
            raise ValueError(
                f"negatives={negatives!r} does not go with {self!r}, which compares places of the "
                "batch; expected 'batch' or 'other-groups'."
            )

    def _check(self) -> None:
        check_name("scorer", self.scorer, SCORERS)
        check_name("places", self.places, PLACES)
        positive_integer("units", self.units)
        if not isinstance(self.both_views, bool | np.bool_):
            raise ValueError(f"both_views={self.both_views!r}; expected True or False.")
        weights = ("weight_local", "weight_global", "weight_prior", "penalty")
        for name in weights:
            a_number(name, getattr(self, name), "a number of at least 0", lambda value: value >= 0)
        if self.clip is not None:
            a_number("clip", self.clip, "a positive number or None", lambda value: value > 0)
        if not (self.weight_local or self.weight_global):
            raise ValueError(
                "weight_local=0 and weight_global=0 leave nothing to score; expected one above 0."
            )
        if self.scorer == "concat-and-convolve" and (self.clip is not None or self.penalty):
            raise ValueError(
                f"clip={self.clip!r} and penalty={self.penalty!r} go with inner products; set "
                "scorer='encode-and-dot', or leave them out."
            )


def _are_pairs(scales: Any) -> bool:
    """Return whether these are pairs of names, and at least one."""
    if not isinstance(scales, list | tuple) or not scales:
        return False
    return all(
        isinstance(pair, list | tuple) and [isinstance(name, str) for name in pair] == [True, True]
        for pair in scales
    )


def _check_places(maps: Maps) -> None:
    for layer, shape in maps.items():
        if math.prod(shape[1:]) < 2:
            raise ValueError(
                f"layer={layer!r} gives a map of one place, {shape}; expected two or more: name an "
                "earlier layer, or pass larger images."
            )
