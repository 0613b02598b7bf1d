"""Which trials come next: one file a searcher. A searcher is asked for trials and told what became of them."""

from lstm_search.search.grid import Grid

__all__ = ["Grid"]
