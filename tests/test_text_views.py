import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.views import VIEWS, Compose, DropWords, HalfDocuments
from sklearn_mi.views.text import drop_words, halves_of_documents


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def documents(n, p=40, seed=0):
    """Return counts of words, most of them zero."""
    rng = np.random.default_rng(seed)
    return torch.as_tensor(rng.poisson(rng.gamma(0.3, 2.0, size=(n, p))), dtype=torch.float32)


def test_halves_of_counts_are_counts_that_add_up():
    x = documents(50)
    first, second = halves_of_documents(x, generator(), are_counts=True)
    assert torch.equal(first + second, x) and (first >= 0).all() and (second >= 0).all()
    assert torch.equal(first, first.round())
    assert ((first > 0) & (second > 0)).any()


def test_halves_of_counts_are_binomial():
    x = torch.tensor([[6.0, 1.0, 0.0]]).expand(20000, 3)
    first, _ = halves_of_documents(x, generator(), are_counts=True)
    shares = first[:, 0].long().bincount(minlength=7) / len(first)
    expected = torch.tensor([1.0, 6, 15, 20, 15, 6, 1]) / 64
    assert (shares - expected).abs().max() < 4 * 0.5 / 20000**0.5
    assert abs(first[:, 1].mean() - 0.5) < 0.02 and not first[:, 2].any()


def test_halves_of_weights_share_no_word():
    x = documents(2000) * 0.37
    first, second = halves_of_documents(x, generator(), are_counts=False)
    assert torch.equal(first + second, x) and not ((first > 0) & (second > 0)).any()
    assert abs((first > 0).sum() / (x > 0).sum() - 0.5) < 0.01


def test_words_are_dropped_at_their_share_alone_of_the_others():
    x = documents(2000)
    kept = drop_words(x, generator(), 0.3)
    assert torch.equal(kept[kept > 0], x[kept > 0])
    assert abs((kept > 0).sum() / (x > 0).sum() - 0.7) < 0.01
    both = drop_words(torch.ones(20000, 2), generator(), 0.5).long()
    assert abs((both[:, 0] * both[:, 1]).float().mean() - 0.25) < 0.02


@pytest.mark.parametrize("view", [DropWords(0.4), HalfDocuments()], ids=repr)
@pytest.mark.parametrize("unit", [1.0, 0.37])
def test_views_keep_the_norms_and_add_no_word(view, unit):
    x, before = documents(50) * unit, torch.get_rng_state()
    x[3], x[4] = 0.0, torch.nn.functional.one_hot(torch.tensor(7), 40) * unit
    state = view.fit(x)
    first, second = view(x, None, state, generator())
    for part in (first, second):
        torch.testing.assert_close(part.norm(dim=1), x.norm(dim=1))
        assert not part[x == 0].any()
        assert torch.equal(part[3:5], x[3:5])  # no word, or one: nothing to drop
    assert not torch.equal(first, second)
    again = view(x, None, state, generator())
    assert torch.equal(again[0], first) and torch.equal(again[1], second)
    assert torch.equal(torch.get_rng_state(), before)
    assert view.inputs(x, state)[0] is x


def test_counts_are_told_from_weights():
    x = documents(50)
    assert HalfDocuments().fit(x)["are_counts"]
    assert not HalfDocuments().fit(x * 0.5)["are_counts"]
    view = HalfDocuments()
    for rows in (x, x * 0.37):
        first, second = view(rows, None, view.fit(rows), generator())
        many = rows.gt(0).sum(1) > 5  # so neither half is empty
        assert ((first > 0) & (second > 0))[many].any() == (rows is x)


@pytest.mark.parametrize("view", [DropWords(), HalfDocuments()], ids=repr)
def test_negative_entries_are_refused(view):
    x = documents(5)
    x[2, 3] = -0.5
    with pytest.raises(ValueError, match=r"X holds -0.5, but .* counts or weights of words"):
        view.fit(x)


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan")])
def test_a_share_lies_between_0_and_1(share):
    with pytest.raises(ValueError, match=f"share={share}; expected a number between 0 and 1"):
        DropWords(share).fit(documents(5))


def test_after_a_view_that_pairs_documents_words_of_both_are_dropped():
    x, other = documents(20), documents(20, seed=1)
    first, second = Compose("same-group", "drop-words")((x, other), None, None, generator())
    assert not first[x == 0].any() and not second[other == 0].any()
    assert (first == 0).sum() > (x == 0).sum() and (second == 0).sum() > (other == 0).sum()


@pytest.mark.parametrize(
    "name, kind", [("drop-words", DropWords), ("half-documents", HalfDocuments)]
)
@pytest.mark.parametrize("vectorizer", [CountVectorizer, TfidfVectorizer])
def test_names_and_texts_end_to_end(name, kind, vectorizer):
    assert isinstance(VIEWS[name](), kind) and repr(clone(kind())) == repr(kind())
    rng = np.random.default_rng(0)
    texts = [" ".join(f"word{i}" for i in rng.integers(0, 30, 12)) for _ in range(60)]
    X = vectorizer().fit_transform(texts)
    learner = MIRepresentationLearner(
        3, view=name, standardize=False, max_steps=5, batch_size=16, random_state=0
    )
    assert learner.fit(X).transform(X).shape == (60, 3)
    with pytest.raises(ValueError, match="set standardize=False"):
        clone(learner).set_params(standardize=True).fit(X)
