"""What the product costs: programs that measure, and print each number with its limit. Never part of a test."""
