// The job that both C programs do: the net's shape and start, the adding problem's data, and the stop rule's window.
// Adding problem: experiment 4 (section 5.4) of Hochreiter & Schmidhuber (1997), 2 blocks of size 2, 93 weights.
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { T = 100, BLOCKS = 2, SIZE = 2, CELLS = BLOCKS * SIZE, UNITS = CELLS + 2 * BLOCKS };  // cells, input, output gates
enum { INPUTS = 2, SOURCES = INPUTS + UNITS + 1, WINDOW = 2000 };                            // the bias is the last source
static const double RATE = 0.5;

// ---- draws: SplitMix64 as a pure function of (key, counter)
static const uint64_t GAMMA = 0x9e3779b97f4a7c15u;

static inline uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static inline double symmetric(uint64_t key, uint64_t counter) {  // uniform in [-1, 1)
  uint64_t bits = mix(key + counter * GAMMA) >> 12 | 0x3ff0000000000000u;
  double one_to_two;
  memcpy(&one_to_two, &bits, 8);
  return 2 * one_to_two - 3;
}

static inline int below(uint64_t key, uint64_t counter, int n) {  // uniform in 0..n-1
  return (int)((mix(key + counter * GAMMA) >> 32) * (uint64_t)n >> 32);
}

// ---- task: one trial's endless stream of sequences; all its draws follow from the trial's number
typedef struct {
  uint64_t values, plans, weights;   // keys of the three streams
  uint64_t sequences;                // how many were planned
  int64_t first, mark1, mark2, last; // of the current sequence, in steps of the trial
  double target;
} Stream;

static inline double value_at(const Stream *s, int64_t step) { return symmetric(s->values, (uint64_t)step); }

static void next_sequence(Stream *s) {
  uint64_t draw = 3 * s->sequences++;
  int length = T + below(s->plans, draw, T / 10 + 1);
  int mark1 = below(s->plans, draw + 1, 10), mark2 = below(s->plans, draw + 2, T / 2 - 1);
  mark2 += mark2 >= mark1;  // one of the pairs still unmarked
  s->first = s->last + 1, s->last = s->first + length - 1;
  s->mark1 = s->first + mark1, s->mark2 = s->first + mark2;
  double x1 = mark1 ? value_at(s, s->mark1) : 0, x2 = mark2 ? value_at(s, s->mark2) : 0;
  s->target = 0.5 + (x1 + x2) / 4;
}

static Stream open_stream(uint64_t trial) {
  uint64_t key = mix(GAMMA * (trial + 1));
  Stream s = {.values = mix(key + 1), .plans = mix(key + 2), .weights = mix(key + 3), .last = -1};
  next_sequence(&s);
  return s;
}

static inline double marker_at(const Stream *s, int64_t step) {
  if (step == s->first || step == s->last) return -1;
  return step == s->mark1 || step == s->mark2;
}

static inline double initial_weight(const Stream *s, int unit, int source) {  // unit UNITS is the output unit
  if (source == SOURCES - 1 && (unit == CELLS || unit == CELLS + 1)) return unit == CELLS ? -3 : -6;
  return 0.1 * symmetric(s->weights, (uint64_t)(unit * SOURCES + source));
}

// ---- stop rule: the last 2000 sequences all correct and their mean error below .01
typedef struct {
  double errors[WINDOW], sum, first_mean;  // first_mean: mean error of the first 2000 sequences
  int64_t sequences, solved_after;
  int wrong;
} Window;

static inline void note(Window *w, double error) {
  int slot = (int)(w->sequences++ % WINDOW);
  w->wrong += (error >= 0.04) - (w->errors[slot] >= 0.04);
  w->sum += error - w->errors[slot];
  w->errors[slot] = error;
  if (w->sequences == WINDOW) w->first_mean = w->sum / WINDOW;
  if (w->sequences >= WINDOW && w->wrong == 0 && w->sum < 0.01 * WINDOW && !w->solved_after)
    w->solved_after = w->sequences;
}

static inline double seconds(void) {  // of the processor: what other programs take does not count
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void report(double seconds, int64_t steps, int trials, const Window *windows) {
  double first = 0, last = 0, sequences = 0;
  int solved = 0;
  for (int i = 0; i < trials; i++) {
    first += windows[i].first_mean / trials, last += windows[i].sum / WINDOW / trials;
    sequences += (double)windows[i].sequences / trials, solved += windows[i].solved_after > 0;
  }
  printf("%.3f ns per trial-step; mean error of %d sequences %.5f at first, %.5f after %.0f; %d of %d trials solved\n",
         1e9 * seconds / ((double)steps * trials), WINDOW, first, last, sequences, solved, trials);
}

static void print_sequences(uint64_t trial, int64_t sequences) {  // a line each: target, then value and marker by step
  Stream s = open_stream(trial);
  for (; sequences--; next_sequence(&s)) {
    printf("%.17g", s.target);
    for (int64_t t = s.first; t <= s.last; t++) printf(" %.17g %.17g", value_at(&s, t), marker_at(&s, t));
    puts("");
  }
}
