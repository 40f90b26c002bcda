"""A report on a data set: one HTML page that says what learned features are worth there."""

from sklearn_mi.summary.assembly import Report, report

__all__ = ["Report", "report"]
