"""Accounts of a workspace: who may come in, as what, and how it is found out who asks."""
