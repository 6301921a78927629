"""report.html: one HTML file with charts and pictures, for people to look at before training.

Invariant: the page needs no script, no font and no request; every text from the data is shown as text.
"""
