"""Migrating many tenants: what is to be done, the processes that do it, the ledger, and the report of what differs."""
