"""Equal states of data in a store that has several names, told to each other (identity rule 10).

``<data/new/k/v> provlake:sameStateAs <data/old/k/v>``, in both directions, wherever both are known: so a query can step
from what one workflow wrote under the one name to what another used under the other. Statements only add up and may come in
any order: each group is committed first and looked at then, in the store as it is by that time, so that of two groups
that belong together the later one sees both. Where no store has two names, a group with states of data costs one small query.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import UNSET

from pllib.provml.store_names import other_names
from pllib.provml.vocabulary import PROVLAKE, SPARQL_PREFIXES

from .documents import Document
from .store import TripleStore, for_queries

_SAME = f"<{PROVLAKE}sameStateAs>"
_DATA, _STORE = "data/", "store/"

_STORES = f"{SPARQL_PREFIXES}SELECT ?a ?b WHERE {{ ?a provlake:sameStoreAs ?b }} LIMIT 10000"
_KNOWN = f"{SPARQL_PREFIXES}SELECT ?a WHERE {{ VALUES ?a {{ %s }} ?a provlake:version ?version }}"
_EQUAL = f"""{SPARQL_PREFIXES}SELECT DISTINCT ?a ?b WHERE {{
  {{ SELECT DISTINCT ?old ?new WHERE {{ ?old provlake:sameStoreAs|^provlake:sameStoreAs ?other_name ;
    (provlake:sameStoreAs|^provlake:sameStoreAs)+ ?new FILTER(?old != ?new) }} }}
  ?whole provlake:store ?old ; provlake:key ?key . ?other provlake:key ?key ; provlake:store ?new .
  ?a prov:specializationOf ?whole ; provlake:version ?version . ?b prov:specializationOf ?other ; provlake:version ?version }}"""


async def join(store: TripleStore, base: str, documents: Iterable[Document]) -> int:
    """Adds what is missing after these documents were committed; how many triples.

    Raises as ``TripleStore.load``: then the same documents are to be sent again.
    """
    states: dict[str, None] = {}
    renamed = False
    for document in documents:
        renamed = renamed or any(each.sameAs for each in document.stores)
        states.update(dict.fromkeys(each.id for each in document.entities if each.version is not UNSET))
    if renamed:
        pairs = {(row["a"], row["b"]) for row in await store.select(_EQUAL)}
    elif states:
        pairs = await _pairs_of(store, base, states)
    else:
        return 0
    lines = sorted({f"<{a}> {_SAME} <{b}> ." for one, other in pairs for a, b in ((one, other), (other, one))})
    await store.load("".join(line + "\n" for line in lines).encode(), len(lines))
    return len(lines)


async def _pairs_of(store: TripleStore, base: str, states: Iterable[str]) -> set[tuple[str, str]]:
    """New states and those that are equal to them, as far as they are in the store."""
    rows = await store.select(_STORES)
    if not rows:
        return set()
    others = other_names((_name(row["a"], base), _name(row["b"], base)) for row in rows)
    wanted = {base + other: base + state for state in states for other in _spellings(state, others)}
    found: set[tuple[str, str]] = set()
    for some in for_queries(list(wanted)):
        values = " ".join(f"<{name}>" for name in some)
        found.update((row["a"], wanted[row["a"]]) for row in await store.select(_KNOWN % values))
    return found


def _spellings(state: str, others: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The same state under the other names of its store."""
    if state.startswith(_DATA):
        name, _, rest = state[len(_DATA) :].partition("/")
        yield from (f"{_DATA}{other}/{rest}" for other in others.get(name, ()))


def _name(iri: str, base: str) -> str:
    """The name of a store, as in ids."""
    return iri.removeprefix(base + _STORE)
