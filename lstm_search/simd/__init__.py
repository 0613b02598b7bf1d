"""The ground that kernels stand on: lanes (one trial a lane of a vector), the compiler, random draws, blocks of time
steps, and the stop rules that are judged lane by lane. It knows no task, no network and no study.
"""

from lstm_search.simd.cuda import Gpu, Launchers, NoGpu, gpus
from lstm_search.simd.draws import (
    APART,
    CHECKS,
    COMMON,
    TESTS,
    TRAINING,
    WEIGHTS,
    Bits,
    below,
    draw,
    normal,
    stream_key,
    uniform,
    uniforms,
)
from lstm_search.simd.jit import (
    CACHE_DIR,
    LEVELS,
    UnsupportedProcessor,
    generic,
    inlined,
    kernel,
    source_digest,
    target_features,
    type_name,
)
from lstm_search.simd.kept import trouble as cache_trouble
from lstm_search.simd.lanes import (
    MOST_LANES,
    Index,
    Lanes,
    Value,
    aligned_zeros,
    divide,
    exceeding,
    fma,
    full_width,
    gather,
    lanes_below,
    lanes_tag,
    larger,
    load,
    load_run,
    magnitude,
    part,
    scatter_add,
    select,
    splat,
    store,
    store_run,
)
from lstm_search.simd.logistic import logistic_and_inverse, logistic_slope, squash, squash_unfused
from lstm_search.simd.stopping import (
    ABSOLUTE,
    ACTIVE,
    CHECKPOINTS,
    DIVERGED,
    EVERY,
    LEARNING,
    NEVER,
    RANKED,
    REACHED,
    SQUARED,
    STEPS,
    WORST,
    StopState,
    end_sequence,
    look_back,
    mean_error,
    new_stop_state,
    reached,
)
from lstm_search.simd.streams import (
    Block,
    Layout,
    Stream,
    begin,
    leave,
    new_block,
    new_stream,
    no_keys,
    pass_ends,
    put_settings,
)
from lstm_search.simd.threads import WARP, Lane, from_words, pairs, rows_of, thread_kernels, to_words
