"""What loadtest/bench.py is made of: a stack of its own, figures from /proc, and one module per bar."""
