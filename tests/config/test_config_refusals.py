"""What the settings of networks, training and stop rules refuse, and with which words."""

from dataclasses import fields
from typing import Any, Literal, get_args, get_origin

import pytest

from lstm_search.checks import types_of
from lstm_search.config.settings import TrackingSettings
from lstm_search.execute import ExecuteSettings
from lstm_search.networks import NETWORKS, lstm1997
from lstm_search.search import SearchSettings
from lstm_search.spec import Stop, Training
from lstm_search.tasks import TASKS

SETTINGS = {"search": SearchSettings, "execute": ExecuteSettings, "tracking": TrackingSettings}


@pytest.mark.parametrize(
    "changes",
    [
        {"blocks": 0}, {"blocks": 65}, {"blocks": 1.5}, {"blocks": True}, {"size": 0}, {"blocks": 64, "size": 64},
        {"init": -0.1}, {"init": float("nan")}, {"init": float("inf")}, {"input_gate_bias": (1.0,)},
        {"input_gate_bias": (1.0, float("nan"))}, {"input_gate_bias": 3}, {"g": "tanh"}, {"output_bias": "yes"},
        {"reset": 0.7}, {"gates_biased": False, "output_gate_bias": (-1.0, -2.0)},
    ],
)  # fmt: skip
def test_the_network_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"network\.({'|'.join(changes)})=.*takes"):
        lstm1997.Lstm1997(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"milestone": "a b"}, {"milestone": ""}, {"tolerance": 0}, {"tolerance": float("nan")}, {"window": 0},
        {"window": 2.5}, {"max_wrong": -1}, {"max_wrong": 2000}, {"mean_error": 0}, {"error": "mean"},
        {"test_sequences": -1},
    ],
)  # fmt: skip
def test_the_stop_rule_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"stop\.{next(iter(changes))}=.*takes"):
        Stop(**changes)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_training_refuses(rate: float) -> None:
    with pytest.raises(ValueError, match=r"training\.rate=.*takes a finite number above 0"):
        Training(rate=rate)


@pytest.mark.parametrize("rate", ["fast", True, None, (0.1,)])
def test_training_refuses_what_is_no_number(rate: Any) -> None:
    with pytest.raises(ValueError, match=r"training\.rate=.*takes a number"):
        Training(rate=rate)


@pytest.mark.parametrize(
    "kind", [*NETWORKS.values(), *TASKS.values(), Training, Stop, *SETTINGS.values()], ids=lambda kind: kind.__name__
)
def test_every_choice_is_checked_and_the_refusal_names_all(kind: Any) -> None:
    for field in fields(kind):
        if get_origin(types_of(kind)[field.name]) is Literal:
            allowed = ", ".join(get_args(types_of(kind)[field.name]))
            with pytest.raises(ValueError, match=rf"\.{field.name}=other: takes one of {allowed}$"):
                kind(**{field.name: "other"})
