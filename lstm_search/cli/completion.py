"""Tab completion for bash: the list of all that can be completed, printed by `lstm-search completion`."""

from __future__ import annotations

from collections.abc import Iterable

from lstm_search.config import GROUPS, all_keys, options

_SCRIPT = """\
_lstm_search() {{
  local cur="${{COMP_LINE:0:COMP_POINT}}"
  cur="${{cur##* }}"
  COMPREPLY=($(compgen -W "{words}" -- "$cur"))
  # bash takes what stands before an equals sign for a word of its own
  [[ $cur == *=* && $COMP_WORDBREAKS == *=* ]] && COMPREPLY=("${{COMPREPLY[@]#"${{cur%%=*}}="}}")
}}
complete -o nospace -F _lstm_search lstm-search
"""


def script(verbs: Iterable[str]) -> str:
    """The script to `eval`: verbs, choices of groups, tables and recipes, and keys."""
    choices = [f"{group}={name}" for group in (*GROUPS, "table", "recipe") for name in options(group)]
    keys = [f"{key}=" for key in all_keys() if key not in GROUPS]
    return _SCRIPT.format(words=" ".join([*verbs, *choices, *keys]))
