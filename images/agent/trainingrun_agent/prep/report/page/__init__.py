"""The page for people: one HTML file with charts and pictures that judges a data set before it is trained on.

Invariant: it needs nothing but itself (no script, no font, no request), and shows every text it is given as text.
"""
