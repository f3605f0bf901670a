"""A product of realistic size, to be built: areas of ten rules each. It knows no Tenantry, so plain Flask runs it too.

An app has six of the areas, which is 60 rules, or all eight, which is 80.
"""

from __future__ import annotations

from .area import make_area

people = make_area("people")
projects = make_area("projects")
invoices = make_area("invoices")
reports = make_area("reports")
messages = make_area("messages")
events = make_area("events")
contracts = make_area("contracts")
settings = make_area("settings")

#: All areas, in the order of registration.
AREAS = (people, projects, invoices, reports, messages, events, contracts, settings)
