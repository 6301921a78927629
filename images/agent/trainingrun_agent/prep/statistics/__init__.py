"""Counts and distributions of images and boxes, and what a network sees of them."""
