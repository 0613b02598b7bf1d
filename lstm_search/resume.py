"""A search that goes on: the candidates that its study has met, as the space of now has them."""

from __future__ import annotations

from dataclasses import replace

from lstm_search.record import DefinitionChanged, Record
from lstm_search.search import Space
from lstm_search.spec import FINALIST, Candidate


def met_again(record: Record, space: Space) -> list[Candidate]:
    """The candidates that the study has met, with the rows that the space now gives them. DefinitionChanged where it
    lacks some among which a choice was to be made: a space may grow, not shrink or move. Those whose rows are all
    there, but not together (a joint search of what was not joint), are met again; their trials are known."""
    found, lacking = list[Candidate](), list[str]()
    for candidate in _recorded(record, space):
        if again := space.again(candidate):
            found.append(replace(again, left="") if again.left == FINALIST else again)
        elif any(row.purpose != "report" and not space.owns(row) for row in candidate.rows):
            lacking.append(candidate.name)
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        raise DefinitionChanged(record.path, [f"the space lacks what it had: {'; '.join(lacking[:3])}{more}"])
    return found


def _recorded(record: Record, space: Space) -> list[Candidate]:
    """The candidates of a study. Records of earlier releases hold only rows; the space says at which points."""
    candidates = record.candidates()
    known = {row.name for one in candidates for row in one.rows}
    old = [row for row in record.rows() if row.name not in known and not row.first]
    return [*candidates, *(Candidate(tuple((space.point_of(row) or {}).items()), (row,), "") for row in old)]
