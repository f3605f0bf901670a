"""The sections of docs/performance.md: one module each, with the figures to reach and ``describe(result)``."""
