// Plain C, one trial at a time: the yardstick of an ordinary compiled program. gcc -O3 -march=native scalar.c -lm
// scalar STEPS                  trains for STEPS time steps and prints the time per step
// scalar --dump SEQUENCES TRIAL trains one trial and prints weights, data and weights, to be held against the naive twin
#include "adding.h"

static double W[UNITS][SOURCES], V[CELLS + 1];                // weights: hidden units; output unit (bias last)
static double dS_in[CELLS][SOURCES], dS_c[CELLS][SOURCES];    // traces of ds_c/dw
static double z[SOURCES], s[CELLS], h[CELLS], y_c[CELLS], y_in[BLOCKS], y_out[BLOCKS];

static inline double f(double x) { return 1 / (1 + exp(-x)); }

static void initialise(const Stream *stream) {
  for (int u = 0; u < UNITS; u++)
    for (int m = 0; m < SOURCES; m++) W[u][m] = initial_weight(stream, u, m);
  for (int c = 0; c <= CELLS; c++) V[c] = initial_weight(stream, UNITS, c);
}

static void start_sequence(void) {
  memset(dS_in, 0, sizeof dS_in), memset(dS_c, 0, sizeof dS_c);
  memset(s, 0, sizeof s), memset(y_c, 0, sizeof y_c), memset(y_in, 0, sizeof y_in), memset(y_out, 0, sizeof y_out);
}

static void step(double value, double marker) {
  double net[UNITS];
  z[0] = value, z[1] = marker, z[SOURCES - 1] = 1;
  for (int c = 0; c < CELLS; c++) z[INPUTS + c] = y_c[c];
  for (int j = 0; j < BLOCKS; j++) z[INPUTS + CELLS + j] = y_in[j], z[INPUTS + CELLS + BLOCKS + j] = y_out[j];
  for (int u = 0; u < UNITS; u++) {
    net[u] = 0;
    for (int m = 0; m < SOURCES; m++) net[u] += W[u][m] * z[m];
  }
  double y[UNITS];
  for (int u = 0; u < UNITS; u++) y[u] = f(net[u]);
  for (int j = 0; j < BLOCKS; j++) {
    y_in[j] = y[CELLS + j], y_out[j] = y[CELLS + BLOCKS + j];
    for (int c = j * SIZE; c < (j + 1) * SIZE; c++) {
      double g = 4 * y[c] - 2, a_in = g * y_in[j] * (1 - y_in[j]), a_c = y_in[j] * (2 + g) * (2 - g) / 4;
      s[c] += y_in[j] * g;
      h[c] = 2 * f(s[c]) - 1;
      y_c[c] = y_out[j] * h[c];
      for (int m = 0; m < SOURCES; m++) dS_in[c][m] += a_in * z[m];
      for (int m = 0; m < SOURCES; m++) dS_c[c][m] += a_c * z[m];
    }
  }
}

static double learn(double target) {  // at a sequence's last step; returns the output's absolute error
  double net = V[CELLS];
  for (int c = 0; c < CELLS; c++) net += V[c] * y_c[c];
  double y = f(net), e = (target - y) * y * (1 - y);
  for (int j = 0; j < BLOCKS; j++) {
    double sum = 0;
    for (int c = j * SIZE; c < (j + 1) * SIZE; c++) {
      double e_s = y_out[j] * (1 + h[c]) * (1 - h[c]) / 2 * V[c] * e;
      sum += h[c] * V[c] * e;
      for (int m = 0; m < SOURCES; m++) W[c][m] += RATE * e_s * dS_c[c][m];
      for (int m = 0; m < SOURCES; m++) W[CELLS + j][m] += RATE * e_s * dS_in[c][m];
    }
    double e_out = y_out[j] * (1 - y_out[j]) * sum;
    for (int m = 0; m < SOURCES; m++) W[CELLS + BLOCKS + j][m] += RATE * e_out * z[m];
  }
  for (int c = 0; c < CELLS; c++) V[c] += RATE * e * y_c[c];
  V[CELLS] += RATE * e;
  return fabs(target - y);
}

static void print_weights(void) {
  for (int u = 0; u < UNITS; u++)
    for (int m = 0; m < SOURCES; m++) printf("%.17g ", W[u][m]);
  for (int c = 0; c <= CELLS; c++) printf("%.17g%c", V[c], c < CELLS ? ' ' : '\n');
}

static void sequence(Stream *stream, Window *window) {
  start_sequence();
  for (int64_t t = stream->first; t <= stream->last; t++) step(value_at(stream, t), marker_at(stream, t));
  note(window, learn(stream->target));
  next_sequence(stream);
}

static void dump(int64_t sequences, uint64_t trial) {
  static Window window;
  Stream stream = open_stream(trial);
  initialise(&stream);
  print_weights();
  print_sequences(trial, sequences);
  while (sequences--) sequence(&stream, &window);
  print_weights();
}

int main(int argc, char **argv) {
  if (argc == 4 && !strcmp(argv[1], "--dump")) return dump(atoll(argv[2]), (uint64_t)atoll(argv[3])), 0;
  int64_t steps = argc > 1 ? atoll(argv[1]) : 10000000;
  static Window window;
  Stream stream = open_stream(0);
  initialise(&stream);
  double start = seconds();
  while (stream.first < steps) sequence(&stream, &window);
  report(seconds() - start, stream.first, 1, &window);
}
