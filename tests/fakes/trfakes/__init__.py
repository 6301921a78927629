"""Fakes that speak on the wire, and builders of the objects that tests begin with."""
