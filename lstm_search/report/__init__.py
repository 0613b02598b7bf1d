"""What trials come to: summaries with intervals and verdicts, tables, plots, comparisons, and the page of a study. Pure
functions of the recorded trials and of what was printed in 1997; nothing here reads or writes a record.
"""

from lstm_search.report.canvas import Figures
from lstm_search.report.columns import CURVE_COLUMNS, curve_lines, settings_by_row
from lstm_search.report.comparison import COMPARED, render_comparison
from lstm_search.report.error_flow import draw_flow, flow_csv, flow_table
from lstm_search.report.gates import Shown, class_table, draw_gates
from lstm_search.report.layout import Sheet, cell, json_text
from lstm_search.report.page import Contents, render_page
from lstm_search.report.plot import FIGURE_FORMATS, sources, write_figures
from lstm_search.report.standings import Standing, search_sheet
from lstm_search.report.summary import MOST_BROKEN, Summary, summaries, summarise
from lstm_search.report.table import (
    EXPORTERS,
    RENDERERS,
    SHEETS,
    export_trials,
    render,
    summary_line,
    trial_columns,
    trial_lines,
)
