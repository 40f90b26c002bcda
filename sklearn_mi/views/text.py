"""Views of texts as rows of counts or weights of words: dropped words, and halves of a document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from sklearn_mi._base import a_number
from sklearn_mi.views.base import Pair, State, View

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from sklearn_mi.rows import AnyRows

__all__ = ["DropWords", "HalfDocuments", "drop_words", "halves_of_documents"]

_AT_ONCE = 1024


def drop_words(x: Tensor, generator: Generator, share: float) -> Tensor:
    """Return rows in which each entry is zero with a probability, alone of the others.

    Parameters
    ----------
    x : Tensor of shape (b, p)
    generator : torch.Generator
    share : float
        The probability.

    Returns
    -------
    kept : Tensor of shape (b, p)

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.text import drop_words
    >>> drop_words(torch.ones(1, 6), torch.Generator().manual_seed(0), share=0.5).tolist()
    [[0.0, 1.0, 0.0, 0.0, 0.0, 1.0]]
    """
    return x * (torch.rand(x.shape, generator=generator, device=x.device) >= share)


def halves_of_documents(
    x: Tensor, generator: Generator, *, are_counts: bool | Tensor
) -> tuple[Tensor, Tensor]:
    """Return two parts of each row, which add up to it.

    Parameters
    ----------
    x : Tensor of shape (b, p)
        Not negative.
    generator : torch.Generator
    are_counts : bool or Tensor of bool of shape ()
        True: each occurrence of a word goes to one of the two parts, so an entry of the first is
        binomial. False: each word goes to one of the two.

    Returns
    -------
    first, second : Tensor of shape (b, p)

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.text import halves_of_documents
    >>> counts = torch.tensor([[4.0, 0.0, 7.0]])
    >>> first, second = halves_of_documents(counts, torch.Generator(), are_counts=True)
    >>> (first + second).tolist()
    [[4.0, 0.0, 7.0]]
    """
    trials = torch.where(
        torch.as_tensor(are_counts, device=x.device), x.round(), (x > 0).to(x.dtype)
    )
    drawn = torch.binomial(trials, torch.full_like(x, 0.5), generator=generator)
    first = x * drawn / trials.clamp_min(1)
    return first, x - first


def _like(part: Tensor, whole: Tensor) -> Tensor:
    """Return parts of rows at the Euclidean norms of the rows; the row itself if its part is empty.

    So no view is empty unless the document is.
    """
    own, full = part.norm(dim=1, keepdim=True), whole.norm(dim=1, keepdim=True)
    return torch.where(own > 0, part * (full / own.clamp_min(torch.finfo(own.dtype).tiny)), whole)


def _check_words(X: AnyRows, view: View) -> bool:
    """Return whether all entries are whole numbers; refuse negative ones."""
    whole = True
    for numbers in torch.arange(len(X)).split(_AT_ONCE):
        batch: Any = X[numbers]
        for x in batch if isinstance(batch, tuple) else (batch,):
            if (lowest := x.min().item()) < 0:
                raise ValueError(
                    f"X holds {lowest:.4g}, but {view!r} takes counts or weights of words, of "
                    "which 0 means that a word is absent; set standardize=False, and pass the rows "
                    "of CountVectorizer or TfidfVectorizer."
                )
            whole = whole and bool((x == x.round()).all())
    return whole


@dataclass(repr=False, eq=False)
class DropWords(View):
    """Pair two copies of a document, each without a random share of its words.

    Use it for rows of CountVectorizer or TfidfVectorizer, with ``standardize=False``, so that zero
    means absent. Each word is dropped alone of the others, and what is left is scaled to the norm
    of the document. If nothing is left, the view is the document itself.

    Parameters
    ----------
    share : float in (0, 1), default=0.5
        Probability of dropping a word.

    References
    ----------
    EDA: Easy Data Augmentation Techniques for Boosting Performance on Text Classification Tasks
    (Wei & Zou, 2019), https://arxiv.org/abs/1901.11196

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views import DropWords
    >>> x = torch.tensor([[3.0, 0.0, 4.0, 0.0]])
    >>> first, second = DropWords()(x, None, None, torch.Generator().manual_seed(0))
    >>> first.norm().item(), second.norm().item()
    (5.0, 5.0)
    """

    share: float = 0.5
    takes = "others"

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return two draws of a batch of shape (b, p)."""
        return self.pair(x, x, rows, state, generator)

    def pair(
        self, x: Tensor, x_prime: Tensor, rows: Tensor | None, state: State, generator: Generator
    ) -> Pair:
        """Return one draw of each document of a pair."""
        first, second = (
            _like(drop_words(whole, generator, self.share), whole) for whole in (x, x_prime)
        )
        return first, second

    def fit(self, X: AnyRows) -> State:
        """Check the parameter, and that no entry is negative.

        Raises
        ------
        ValueError
        """
        a_number("share", self.share, "a number between 0 and 1", lambda value: 0 < value < 1)
        _check_words(X, self)

    def caveats(self, state: State, *, shares_values: bool = True) -> tuple[str, ...]:
        """Say what the mutual information measures, and that the views share values."""
        told = ("the mutual information is that of two draws of words: with others it is another",)
        shared = ("words that both views keep have equal weights, up to one factor a view",)
        return told + shared if shares_values else told


@dataclass(repr=False, eq=False)
class HalfDocuments(View):
    """Pair two halves of a document: each word of it goes to one of the two.

    Use it for rows of CountVectorizer or TfidfVectorizer, with ``standardize=False``, so that zero
    means absent. Of counts, each occurrence of a word goes to either half; if they are Poisson
    given the topic of a document, the two halves are independent given the topic. Of weights, each
    word goes to one half as a whole, so the halves share no word. Both are scaled to the norm of
    the document. A half without words is the document itself.

    References
    ----------
    Contrastive Estimation Reveals Topic Posterior Information to Linear Models (Tosh, Krishnamurthy
    & Hsu, 2021), https://arxiv.org/abs/2003.02234

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views import HalfDocuments
    >>> x = torch.tensor([[0.3, 0.0, 0.4, 0.5]])
    >>> first, second = HalfDocuments()(x, None, None, torch.Generator().manual_seed(0))
    >>> ((first > 0) ^ (second > 0)).tolist()
    [[True, False, True, True]]
    """

    takes = "others"

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return the halves of a batch of shape (b, p)."""
        are_counts = state is not None and state["are_counts"]
        halves = halves_of_documents(x, generator, are_counts=are_counts)
        return _like(halves[0], x), _like(halves[1], x)

    def fit(self, X: AnyRows) -> State:
        """Find whether entries are counts; refuse negative ones.

        Raises
        ------
        ValueError
        """
        return {"are_counts": torch.tensor(_check_words(X, self))}

    def caveats(self, state: State, *, shares_values: bool = True) -> tuple[str, ...]:
        """Say what the mutual information measures."""
        return ("the mutual information is that of two halves of a document",)
