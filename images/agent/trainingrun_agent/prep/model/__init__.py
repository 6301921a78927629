"""What every other folder of preparation speaks of: annotations, findings, class names.

Imports nothing else of preparation.
"""
