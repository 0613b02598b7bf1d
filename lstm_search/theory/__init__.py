"""Why nets learn or do not, as numbers: nets run without learning, and how errors flow back through them.

It knows tasks, nets and trials, and nothing of how they are trained, recorded or drawn.
"""

from lstm_search.theory.flow import Curve, NoFlow, Panels, of_trial, untrained
from lstm_search.theory.passage import H_KIND, Blocks, Passage, passage_of, slope
from lstm_search.theory.recorded import (
    Example,
    Weights,
    affordable,
    by_class,
    class_names,
    examples,
    first_weights,
    marks,
)
