"""Latent semantic analysis as a front end, and the recipe of texts."""

import numpy as np
import pytest
import safetensors.torch
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.preprocessing import normalize

from sklearn_mi import MIRepresentationLearner, load
from sklearn_mi.front_ends import FRONT_ENDS, LSA, RecordingFeatures, Values, fitted

N, P, TOPICS = 150, 600, 3


def counts(n=N, seed=0):
    """Draw texts of 20 words, nearly all of them from the fifth of words of one of 3 topics."""
    rng = np.random.default_rng(seed)
    topic = np.arange(n) % TOPICS
    inside = rng.integers(0, P // 5, (n, 20)) + topic[:, None] * (P // 5)
    words = np.where(rng.random((n, 20)) < 0.8, inside, rng.integers(0, P, (n, 20)))
    made = np.zeros((n, P))
    np.add.at(made, (np.arange(n)[:, None], words), 1)
    return made, topic


COUNTS, TOPIC = counts()
WEIGHTS = TfidfTransformer().fit_transform(COUNTS)


def batch(rows):
    return torch.as_tensor(rows.toarray() if sparse.issparse(rows) else rows, dtype=torch.float32)


def cosines(rows):
    unit = normalize(np.asarray(rows, dtype=float))
    return unit @ unit.T


@pytest.mark.parametrize("rows", [COUNTS, WEIGHTS], ids=["counts", "weights"])
def test_columns_are_those_of_scikit_learn_but_for_a_rotation(rows):
    weights = WEIGHTS
    if rows is COUNTS:
        weights = TfidfTransformer(sublinear_tf=True).fit_transform(sparse.csr_matrix(COUNTS))
    expected = TruncatedSVD(10, algorithm="arpack", random_state=0).fit(weights)
    lsa = LSA(10)
    x = batch(rows)
    state = lsa.fit(x, seed=0)
    spanned = state["directions"].numpy()
    np.testing.assert_allclose(spanned.T @ spanned, np.eye(10), atol=1e-4)
    # The tenth singular value is near the eleventh, so the spans differ a little.
    kept = np.linalg.norm(expected.components_[:TOPICS] @ spanned, axis=1)
    np.testing.assert_allclose(kept, 1, atol=1e-3)
    found = lsa(x, state)
    assert found.dtype == torch.float32
    projected = weights @ spanned
    np.testing.assert_allclose(cosines(found), cosines(projected), atol=1e-5)
    np.testing.assert_allclose(found.norm(dim=1), 1, rtol=1e-5)


def test_new_counts_are_weighted_by_the_training_texts():
    later, _ = counts(9, seed=1)
    state = LSA(5).fit(batch(COUNTS), seed=0)
    transformer = TfidfTransformer(sublinear_tf=True).fit(sparse.csr_matrix(COUNTS))
    weights = transformer.transform(sparse.csr_matrix(later)).toarray()
    expected = weights @ state["directions"].numpy()
    np.testing.assert_allclose(LSA(5)(batch(later), state), normalize(expected), atol=1e-5)


def test_columns_vary_alike():
    # By its own axes the first column of such an analysis varies several times as much.
    found = LSA(20)(batch(COUNTS), LSA(20).fit(batch(COUNTS), seed=0))
    deviation = found.std(0)
    assert deviation.max() < 2.5 * deviation.min()


def test_an_empty_text_is_zero_and_a_batch_changes_nothing():
    x = batch(COUNTS)
    x[3] = 0
    state = LSA().fit(x, seed=0)
    together = LSA()(x, state)
    assert together[3].eq(0).all() and torch.isfinite(together).all()
    alone = torch.cat([LSA()(row[None], state) for row in x])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    assert len(LSA()(x[:0], state)) == 0


@pytest.mark.parametrize(
    ("rows", "n_columns"),
    [(np.zeros((5, P)), 1), (COUNTS[:2], 2), (np.repeat(COUNTS[:1], 6, axis=0), 1)],
    ids=["empty", "two", "one text"],
)
def test_there_are_no_more_columns_than_texts_differ(rows, n_columns):
    state = LSA().fit(batch(rows), seed=0)
    found = LSA()(batch(np.vstack([rows, COUNTS])), state)
    assert found.shape[1] == n_columns
    assert torch.isfinite(found).all()


def test_the_state_is_all_that_a_new_object_needs():
    x = batch(COUNTS)
    state = LSA(7).fit(x, seed=2)
    stored = safetensors.torch.load(safetensors.torch.save(state))
    assert torch.equal(clone(LSA(7))(x, stored), LSA(7)(x, state))
    assert torch.equal(LSA(7)(x, LSA(7).fit(x, seed=2)), LSA(7)(x, state))
    assert not torch.equal(LSA(7)(x, LSA(7).fit(x, seed=3)), LSA(7)(x, state))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((5, 4, 2)), r"rows have shape \(4, 2\); LSA\(\) takes words: pass the rows of"),
        (COUNTS - 0.5, r"X holds -0\.5, but LSA\(\) takes counts or weights of words"),
    ],
    ids=["recordings", "negative"],
)
def test_other_rows_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        LSA().fit(batch(rows), seed=0)


def test_a_wrong_number_of_columns_is_refused():
    with pytest.raises(ValueError, match=r"n_components=0; expected a positive integer"):
        LSA(0).fit(batch(COUNTS), seed=0)


def learner(**parameters):
    return MIRepresentationLearner(max_steps=3, random_state=0, **parameters)


@pytest.mark.parametrize("rows", [COUNTS, WEIGHTS], ids=["counts", "weights"])
def test_texts_get_their_recipe(rows, tmp_path):
    X = sparse.csr_matrix(rows)
    fitted = learner().fit(X)
    picked = {name: choice.value for name, choice in fitted.choices_.items()}
    assert [picked[name] for name in ("front_end", "view", "encoder", "output")] == [
        *("lsa", "neighbors", "gelu-mlp", "with-columns")
    ]
    Z = fitted.transform(X)
    assert Z.shape == (N, 64 + 128)
    assert fitted.get_feature_names_out()[-1] == "lsa127"
    fitted.save(tmp_path / "texts.mi")
    np.testing.assert_allclose(load(tmp_path / "texts.mi").transform(X), Z, atol=1e-5)
    assert np.isfinite(fitted.transform(sparse.csr_matrix((2, P)))).all()


def test_a_named_view_or_encoder_gets_the_words_themselves():
    X = sparse.csr_matrix(COUNTS)
    assert "front_end" not in learner(view="half-documents").fit(X).choices_
    by_encoder = learner(encoder="linear").fit(X).choices_
    assert "front_end" not in by_encoder
    with_topics = learner(view="neighbors", front_end=LSA(9)).fit(X)
    assert with_topics._schemas[0].kind.row_shape == (9,)


def test_topics_are_found_without_labels():
    X = sparse.csr_matrix(COUNTS)
    Z = MIRepresentationLearner(random_state=0, max_steps=30).fit(X).transform(X)[:, :64]
    centres = np.stack([Z[topic == TOPIC].mean(0) for topic in range(TOPICS)])
    nearest = np.square(Z[:, None] - centres).sum(2).argmin(1)
    assert (nearest == TOPIC).mean() > 0.9


def test_a_front_end_is_given_the_rows_that_it_takes():
    texts = sparse.csr_matrix(COUNTS)
    recordings = np.random.default_rng(0).normal(size=(N, 8, 3))
    for front_end, X, said in (
        ("lsa", recordings, "makes features of texts, but rows of X have shape"),
        ("lsa", COUNTS, "expected sparse rows of CountVectorizer or TfidfVectorizer"),
        ("values", texts, "makes features of recordings, but rows of X have shape"),
    ):
        with pytest.raises(ValueError, match=said):
            learner(front_end=front_end).fit(X)
    with pytest.raises(ValueError, match="takes words: pass the rows of"):
        RecordingFeatures("lsa").fit(recordings)


@pytest.mark.parametrize(
    ("front_end", "shapes"), [("lsa", [(128,), (24,)]), (Values(), [(P,), (24,)])], ids=repr
)
def test_a_table_beside_the_one_that_it_takes_has_no_front_end(front_end, shapes):
    recordings = np.random.default_rng(0).normal(size=(N, 8, 3))
    X_pair = recordings.reshape(N, -1) if front_end == "lsa" else recordings
    both = learner(front_end=front_end).fit(sparse.csr_matrix(COUNTS), X_pair=X_pair)
    assert [schema.kind.row_shape for schema in both._schemas] == shapes


def test_standardised_words_are_refused():
    with pytest.raises(ValueError, match="leave standardize='auto'"):
        learner(standardize=True).fit(sparse.csr_matrix(COUNTS))


def test_a_front_end_is_fitted_on_few_enough_numbers(monkeypatch):
    seen = []
    fit = LSA.fit
    monkeypatch.setattr(LSA, "fit", lambda self, x, seed: seen.append(len(x)) or fit(self, x, seed))
    for numbers, n_rows in ((2**28, 135), (40 * P, 40), (1, 2)):
        monkeypatch.setattr(fitted, "MOST_NUMBERS", numbers)
        learner().fit(sparse.csr_matrix(COUNTS))
        assert seen.pop() == n_rows


@pytest.mark.parametrize("vectorizer", [CountVectorizer, TfidfVectorizer])
def test_few_words_make_a_table(vectorizer):
    texts = [" ".join(f"word{i}" for i in np.flatnonzero(row[:50])) for row in COUNTS]
    X = vectorizer().fit_transform(texts)
    assert "front_end" not in learner().fit(X).choices_


def test_its_name():
    assert isinstance(FRONT_ENDS["lsa"](), LSA)
    assert {name for name, make in FRONT_ENDS.items() if make().takes == "words"} == {"lsa"}


def test_names_are_as_many_as_the_columns_behind_a_front_end():
    X = sparse.random(60, 600, density=0.05, format="csr", random_state=0)
    fitted = MIRepresentationLearner(max_steps=2, random_state=0).fit(X)
    Z = fitted.transform(X)
    assert fitted._n_features_out == len(fitted.get_feature_names_out()) == Z.shape[1]
