"""The floor plan: URL rules are compiled once and shared by all tenants whose apps have the same ones.

Compiling is most of the work of building a Flask app, and its result depends on nothing but the rules. Every app still
registers every rule; what is shared is what Werkzeug makes of them. A rule is shared only where all that it is made of
is plain and immutable, as nothing else is sure to hold no tenant's data: the others are compiled for their app alone,
and its map is then its own, of shared rules and own ones.

Shared rules cannot be changed. The public ways of Werkzeug's ``Map`` work on a :class:`TenantMap` as ever, also after
its first use: it then gets another plan.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, NoneType
from typing import Any, NoReturn, cast
from uuid import UUID
from weakref import WeakValueDictionary

from werkzeug.datastructures import ImmutableDict
from werkzeug.routing import Map, Rule, RuleFactory
from werkzeug.routing.matcher import StateMachineMatcher

from .errors import SharedRuleChanged

#: So many of the latest plans are kept even while no app has them.
_KEPT = 64
#: Types whose values cannot change, and hold nothing. Not float, as 0.0 equals -0.0 and is another default.
_PLAIN = frozenset((str, bytes, int, bool, NoneType, UUID))


class PlannedRule(RuleFactory):
    """What ``add_url_rule`` is given: a rule before it is compiled. Takes what Werkzeug's ``Rule`` takes."""

    def __init__(self, string: str, **options: Any) -> None:
        self.string = string
        self.options = options
        self.provide_automatic_options: bool | None = None  # Flask sets it next

    def get_rules(self, map: Map) -> Iterable[Rule]:
        """Return the rule, shared where the map is a tenant's and it can be."""
        return (map.planned(self) if isinstance(map, TenantMap) else self.own(),)

    def own(self) -> Rule:
        """Return a rule of Werkzeug's, for one map alone."""
        rule = Rule(self.string, **self.options)
        rule.provide_automatic_options = self.provide_automatic_options  # type: ignore[attr-defined]  # as Flask does
        return rule

    def frozen(self) -> PlannedRule:
        """Return the same with values that cannot be changed, if they are those that have a key."""
        found = PlannedRule(self.string, **self.options)
        found.provide_automatic_options = self.provide_automatic_options
        for name, kind in (("methods", frozenset), ("defaults", ImmutableDict)):
            if self.options.get(name) is not None:
                found.options[name] = kind(self.options[name])
        return found

    def equals_plainly(self, other: PlannedRule) -> bool:
        """Whether this is surely the same rule as a shared one: by equality, which would take 1 for ``True``."""
        return (
            type(self.string) is str
            and self.string == other.string
            and self.options == other.options
            and self.provide_automatic_options is other.provide_automatic_options
            and not self.options.get("defaults")
        )

    def key(self) -> Hashable:
        """Return all that the compiled rule depends on; ``None`` where something in it is not plain."""
        if type(self.string) is not str:
            return None
        found: list[Any] = [self.string, self.provide_automatic_options]
        for name, value in self.options.items():
            if type(value) is str or value is None:
                found += (name, value)
            elif name == "methods" and isinstance(value, (set, frozenset)):
                found.append(frozenset(value))
            elif name == "defaults" and isinstance(value, dict):
                found.append(name)  # also of none, as a rule tells {} from None
                for item in value.items():
                    found += (type(item[1]), item)
                    if type(item[0]) is not str or type(item[1]) not in _PLAIN:
                        return None
            elif type(value) is bool and name != "alias":
                found += (name, value)
            else:
                return None
        return tuple(found)


class SharedRule(Rule):
    """A compiled rule that belongs to no app: nothing of it can be changed."""

    _planned: PlannedRule
    provide_automatic_options: bool | None

    @classmethod
    def compiled(cls, planned: PlannedRule, ruleless: Map) -> SharedRule:
        """Compile a rule for the options of ``ruleless``, a map without rules."""
        rule = cls(planned.string, **planned.options)
        rule.provide_automatic_options = planned.provide_automatic_options
        rule._planned = planned.frozen()
        rule.bind(ruleless)
        rule.methods = frozenset(rule.methods) if rule.methods is not None else None  # type: ignore[assignment]  # only read
        rule.arguments = frozenset(rule.arguments)  # type: ignore[assignment]  # as above
        rule.defaults = ImmutableDict(rule.defaults) if rule.defaults is not None else None
        rule.__dict__["_is_shared"] = True
        return rule

    def __setattr__(self, name: str, value: object) -> None:
        if self.__dict__.get("_is_shared"):
            raise SharedRuleChanged(f"the URL rule '{self.rule}'", name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> NoReturn:
        raise SharedRuleChanged(f"the URL rule '{self.rule}'", name)

    def empty(self) -> Rule:
        """Return a copy that belongs to no map yet, and can be changed: one of Werkzeug's."""
        return Rule(self.rule, **self.get_empty_kwargs())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rule) and Rule.__eq__(other, self)

    __hash__ = None  # as Werkzeug's


class _RulelessMap(Map):
    """What shared rules are bound to: a map without rules, whose options cannot be changed.

    :param options: those of a map that count when a rule is compiled: default subdomain, strict slashes, merged
        slashes, and whether hosts are matched.
    """

    def __init__(self, options: tuple[str, bool, bool, bool]) -> None:
        subdomain, strict, merge, hosts = options
        super().__init__(default_subdomain=subdomain, strict_slashes=strict, merge_slashes=merge, host_matching=hosts)
        self.options = options
        self._remap = False  # nothing is to be put in order
        self.converters = self.default_converters  # which are immutable
        self.__dict__["_is_shared"] = True

    def __setattr__(self, name: str, value: object) -> None:
        if self.__dict__.get("_is_shared"):
            raise SharedRuleChanged("a shared rule's map", name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> NoReturn:
        raise SharedRuleChanged("a shared rule's map", name)

    def add(self, rulefactory: RuleFactory) -> NoReturn:
        raise SharedRuleChanged("a shared rule's map", "add")


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Plan:
    """What Werkzeug's map makes of rules: how to match a path, and by which rules to build a link.

    :ivar rules: in the order in which they were added.
    """

    rules: tuple[Rule, ...]
    matcher: StateMachineMatcher
    by_endpoint: Mapping[str, Sequence[Rule]]

    @classmethod
    def of(cls, rules: tuple[Rule, ...], merge_slashes: bool) -> Plan:
        """Do what ``Map.add`` and ``Map.update`` do, with rules that are compiled already."""
        matcher = StateMachineMatcher(merge_slashes)
        by_endpoint: dict[str, list[Rule]] = {}
        for rule in rules:
            if not rule.build_only:
                matcher.add(rule)
            by_endpoint.setdefault(rule.endpoint, []).append(rule)
        matcher.update()
        ordered = {name: tuple(sorted(found, key=Rule.build_compare_key)) for name, found in by_endpoint.items()}
        return cls(rules, matcher, MappingProxyType(ordered))


class FloorPlan:
    """What the apps of one platform share of their URL maps.

    It refers to no tenant and no app. The strings of a rule may come from a tenant's configuration, though, and stay
    for a while after it is gone; no other tenant's map leads there.

    :ivar url_map_class: the class of maps that share by this floor plan, for ``Flask.url_map_class``.
    """

    def __init__(self) -> None:
        self.url_map_class: type[TenantMap] = type("TenantMap", (TenantMap,), {"floor_plan": self})
        self._ruleless: WeakValueDictionary[Hashable, _RulelessMap] = WeakValueDictionary()
        self._rules: WeakValueDictionary[Hashable, SharedRule] = WeakValueDictionary()
        self._plans: WeakValueDictionary[Hashable, Plan] = WeakValueDictionary()
        # Plans live as long as an app has them, and these for the next app that comes.
        self._latest: deque[Plan] = deque(maxlen=_KEPT)

    @property
    def latest_rules(self) -> tuple[Rule, ...]:
        """The rules of the plan that was made last: most tenants have the same, in the same order."""
        return self._latest[-1].rules if self._latest else ()

    def rule(self, planned: PlannedRule, options: tuple[str, bool, bool, bool]) -> Rule:
        """Return a compiled rule; one that is not bound yet where it cannot be shared.

        :param options: of the map, as :class:`_RulelessMap` takes them.
        """
        key = planned.key()
        if key is None:
            return planned.own()
        found = self._rules.get((key, options))
        if found is None:
            try:
                compiled = SharedRule.compiled(planned, self._ruleless_map(options))
            except LookupError:  # a converter of the app's own, which may keep what it likes
                return planned.own()
            found = self._rules.setdefault((key, options), compiled)
        return found

    def plan(self, rules: tuple[Rule, ...], merge_slashes: bool) -> Plan:
        """Return the plan of rules, the shared one where all of them are shared.

        They are known by their identity, and the plan that is found holds these very rules: so it fits.
        """
        if not all(type(rule) is SharedRule for rule in rules):
            return Plan.of(rules, merge_slashes)
        key = (merge_slashes, *map(id, rules))
        found = self._plans.get(key)
        if found is None:
            found = self._plans.setdefault(key, Plan.of(rules, merge_slashes))
            self._latest.append(found)
        return found

    def _ruleless_map(self, options: tuple[str, bool, bool, bool]) -> _RulelessMap:
        found = self._ruleless.get(options)
        return found if found is not None else self._ruleless.setdefault(options, _RulelessMap(options))


class TenantMap(Map):
    """The URL map of one tenant's app. What it keeps of its own are its options, and the list of its rules."""

    floor_plan: FloorPlan

    def __init__(self, rules: Iterable[RuleFactory] | None = None, **options: Any) -> None:
        self._added: list[Rule] = []
        super().__init__(**options)
        self._merges = self._matcher.merge_slashes
        self._remap = False  # a plan is in order from the start
        self._expected = self.floor_plan.latest_rules
        self._forget_plan()
        for each in rules or ():
            self.add(each)

    def add(self, rulefactory: RuleFactory) -> None:
        """Add a rule, or what a factory of rules gives. A rule that is not shared is compiled here and now."""
        for rule in rulefactory.get_rules(self):
            if type(rule) is not SharedRule:
                rule.bind(self)
            with self._remap_lock:  # other threads may be asking for the plan
                self._added.append(rule)
                self._forget_plan()

    def planned(self, planned: PlannedRule) -> Rule:
        """Return a rule for this map: shared where it can be."""
        if not self._compiles_as_others():
            return planned.own()
        options = (self.default_subdomain, self.strict_slashes, self._merges, self.host_matching)
        here = len(self._added)
        if here < len(self._expected):
            expected: Any = self._expected[here]
            if planned.equals_plainly(expected._planned) and expected.map.options == options:
                return cast(Rule, expected)
        return self.floor_plan.rule(planned, options)

    def settle(self) -> None:
        """Take the plan of the rules. Done at the first use too, if nobody called it."""
        with self._remap_lock:
            plan = self.floor_plan.plan(tuple(self._added), self._merges)
            self._plan, self._expected = plan, ()  # the plan lives as long as a map that has it
            self._rules_by_endpoint, self._matcher = plan.by_endpoint, plan.matcher  # type: ignore[assignment]  # read only

    @property
    def merge_slashes(self) -> bool:
        """Whether paths with doubled slashes are led to those without."""
        return self._merges

    @merge_slashes.setter
    def merge_slashes(self, value: bool) -> None:
        self._merges = value
        self._forget_plan()

    def _compiles_as_others(self) -> bool:
        sorts = self.sort_parameters or self.sort_key is not None
        own, defaults = self.converters, self.default_converters
        # Most often they are the same, which is seen at once.
        return not sorts and (own == defaults or all(own.get(name) is defaults[name] for name in defaults))

    def _forget_plan(self) -> None:
        self.__dict__.pop("_matcher", None)
        self.__dict__.pop("_rules_by_endpoint", None)

    def __getattr__(self, name: str) -> Any:
        if name not in ("_matcher", "_rules_by_endpoint"):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        self.settle()
        return getattr(self, name)  # another thread may have added a rule since

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in ("sort_parameters", "sort_key") and self._added:  # which rules ask their map for
            self.share_nothing()

    def share_nothing(self) -> None:
        """Have rules of its own in the place of shared ones, from now on."""
        with self._remap_lock:
            self._added = [self._owned(rule) for rule in self._added]
            self._forget_plan()

    def _owned(self, rule: Rule) -> Rule:
        if not isinstance(rule, SharedRule):
            return rule
        own = rule._planned.own()
        own.strict_slashes, own.merge_slashes, own.subdomain = rule.strict_slashes, rule.merge_slashes, rule.subdomain
        own.defaults = dict(own.defaults) if own.defaults is not None else None
        own.bind(self)
        return own
