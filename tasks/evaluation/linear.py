"""The classifier one would try first: it judges the BERT beside it, and teaches it."""

from __future__ import annotations

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline


def linear_baseline() -> Pipeline:
    """TF-IDF over words and pairs of words with logistic regression: what one would try first."""
    return make_pipeline(
        TfidfVectorizer(sublinear_tf=True, min_df=2, ngram_range=(1, 2)), LogisticRegression(C=10.0, max_iter=1000)
    )
