"""Faults on purpose: what must hold when things break, and the checks that show it."""
