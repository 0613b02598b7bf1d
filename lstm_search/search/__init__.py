"""Which cells are met, and which of their trials come next. A search is a proposer and an allocator; it is asked for
trials and told their results. The cells are points of a space, and an objective says which of them is the best.
"""

from lstm_search.search.importance import importances
from lstm_search.search.objective import objective_of, serves
from lstm_search.search.proposers import PROPOSERS
from lstm_search.search.search import FRESH, Search, finalists, first_rows, fresh, loss_of, plain, standings
from lstm_search.search.settings import SearchSettings
from lstm_search.search.space import Base, Fixed, Numbers, Point, Space, Span, Values
