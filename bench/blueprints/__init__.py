"""The blueprint set of the page benchmarks. It knows no Tenantry, so a plain Flask app runs the very same views."""
