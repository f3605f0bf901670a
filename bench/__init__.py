"""The benchmarks: ``python -m bench`` runs them all, ``python -m bench.<name>`` one; results are in bench/results/."""
