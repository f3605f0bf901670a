"""The blueprint set of the page benchmarks: the pages are written once, and a plain Flask app runs the very same views.

``demo`` knows no Tenantry. ``database`` is Tenantry's side of the database pages, whose views are in
``bench.database_views``; the plain side is in ``bench.plain_database``.
"""
