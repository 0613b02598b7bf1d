// Hand-written SIMD: 16 trials side by side, one a lane, each with its own weights, data and sequence lengths.
// The same program as scalar.c otherwise, with the same arguments. gcc -O3 -march=native simd.c -lm
#include "adding.h"

enum { VECTOR = 8, GROUPS = 2, LANES = VECTOR * GROUPS, BLOCK = 64, HISTORY = 4 };
typedef double vd __attribute__((vector_size(8 * VECTOR)));
typedef int64_t vi __attribute__((vector_size(8 * VECTOR)));
typedef uint64_t vu __attribute__((vector_size(8 * VECTOR)));
#define INLINE static inline __attribute__((always_inline))
#define EACH(i, n) _Pragma("GCC unroll 16") for (int i = 0; i < (n); i++)

// One vector of trials. Sources are rows: one z, once in a register, feeds all units.
typedef struct {
  vd W[SOURCES][UNITS], V[CELLS + 1];  // weights of hidden units and of the output unit (bias last)
  vd S[SOURCES][UNITS];                // traces: ds/dw_c of the cells, then ds/dw_in of the cells
  vd z[HISTORY + 1][SOURCES];          // sources of the steps that are not in the traces yet, and of the next step
  vd a[HISTORY][UNITS];                // what multiplies them: y_in g' of the cells, then g f' of the cells
  vd s[CELLS], h[CELLS], target;
  vi last;                             // last step of the sequence
  int64_t next_end;                    // least of them
  int n;                               // steps in z and a
} Group;

static Group groups[GROUPS];
static vd values[BLOCK][GROUPS], markers[BLOCK][GROUPS];
static Stream streams[LANES];
static Window windows[LANES];

INLINE vd splat(double x) { return x - (vd){}; }
INLINE vd masked(vd x, vi mask) { return (vd)((vi)x & mask); }

// 1 + e^-x for |x| <= 300, relative error 2e-16: -x = k ln2/16 + r and e^-x = 2^(k/16) (1 + p(r)). The table holds
// 2^(j/16), j = k mod 16, less j in the four bits below the exponent, so that adding k there completes the power.
static const double POWERS[16] = {1.0, 1.0442737824274138, 1.0905077326652577, 1.1387886347566916,
  1.189207115002721, 1.241857812073484, 1.2968395546510096, 1.3542555469368927, 1.4142135623730951, 1.4768261459394993,
  1.5422108254079407, 1.6104903319492543, 1.681792830507429, 1.7562521603732995, 1.8340080864093424, 1.9152065613971474};
static vi table[2];

static void make_table(void) {
  for (int j = 0; j < 16; j++) {
    int64_t bits;
    memcpy(&bits, &POWERS[j], 8);
    table[j / 8][j % 8] = bits - ((int64_t)j << 48);
  }
}

INLINE vd clamp(vd x) {
#ifdef __AVX512DQ__
  return __builtin_ia32_rangepd512_mask(x, splat(300), 2, x, -1, 4);  // smaller magnitude, sign of x: one instruction
#else
  x = x > 300 ? splat(300) : x;
  return x < -300 ? splat(-300) : x;
#endif
}

// Stage by stage over n units, so that n dependency chains are in flight.
INLINE void one_plus_exp_minus(int n, vd *x) {
  const vd round = splat(0x1.8p52);
  vd r[n], q[n], k[n];
  EACH(i, n) x[i] = clamp(x[i]);
  EACH(i, n) k[i] = x[i] * -23.083120654223414 + round;
  EACH(i, n) r[i] = -x[i] - (k[i] - round) * 0.04332169878489367;
  EACH(i, n) r[i] = r[i] - (k[i] - round) * 1.0291218489310676e-13;
  EACH(i, n) q[i] = r[i] * 0.0013889034348599464 + 0.008333449701253456;
  EACH(i, n) q[i] = q[i] * r[i] + 0.04166666666496045;
  EACH(i, n) q[i] = q[i] * r[i] + 0.1666666666530169;
  EACH(i, n) q[i] = q[i] * r[i] + 0.5;
  EACH(i, n) q[i] = (r[i] * r[i]) * q[i] + r[i];
  EACH(i, n) {
    vd power = (vd)(__builtin_shuffle(table[0], table[1], (vi)k[i]) + ((vi)k[i] << 48));
    x[i] = power * q[i] + (power + 1);
  }
}

// Four units at a time; two reciprocals from one division, because the divider is the slowest unit.
INLINE void logistic(int n, vd *x) {
  EACH(i, n / 4) one_plus_exp_minus(4, x + 4 * i);
  EACH(i, n / 2) {
    vd one = x[2 * i], other = x[2 * i + 1], both = 1 / (one * other);
    x[2 * i] = other * both, x[2 * i + 1] = one * both;
  }
}

INLINE void nets(Group *G, vd value, vd marker, vd *net) {
  vd *z = G->z[G->n];
  z[0] = value, z[1] = marker;
  EACH(u, UNITS) net[u] = G->W[SOURCES - 1][u];
  EACH(m, SOURCES - 1) EACH(u, UNITS) net[u] += G->W[m][u] * z[m];
}

INLINE void states(Group *G, const vd *y, vd *s) {  // y: logistic of all net inputs
  vd *next = G->z[G->n + 1] + INPUTS, *a = G->a[G->n];
  EACH(c, CELLS) {
    vd y_in = y[CELLS + c / SIZE], g = 4 * y[c] - 2;
    G->s[c] = s[c] = G->s[c] + y_in * g;
    a[c] = y_in * (1 - 0.25 * g * g);
    a[CELLS + c] = g * (y_in - y_in * y_in);
  }
  EACH(j, 2 * BLOCKS) next[CELLS + j] = y[CELLS + j];
}

INLINE void cells(Group *G, const vd *y) {  // y: logistic of the states
  vd *next = G->z[G->n + 1] + INPUTS;
  EACH(c, CELLS) G->h[c] = 2 * y[c] - 1, next[c] = next[CELLS + BLOCKS + c / SIZE] * G->h[c];
  G->n++;
}

// Adds the history to the traces: the factors of four units stay in registers, each trace is loaded and stored once.
INLINE void accumulate(Group *G) {
  for (int u = 0; u < UNITS; u += 4) {
    vd a[HISTORY][4];
    EACH(k, HISTORY) EACH(i, 4) a[k][i] = G->a[k][u + i];
    for (int m = 0; m < SOURCES; m++) {
      vd S[4];
      EACH(i, 4) S[i] = G->S[m][u + i];
      EACH(k, HISTORY) EACH(i, 4) S[i] += a[k][i] * G->z[k][m];
      EACH(i, 4) G->S[m][u + i] = S[i];
    }
  }
}

INLINE void make_room(Group *G) {
  if (G->n < HISTORY) return;
  accumulate(G);
  EACH(u, UNITS) G->z[0][INPUTS + u] = G->z[HISTORY][INPUTS + u];
  G->n = 0;
}

// One time step of all trials. The second group's gates follow the first's: either hides the other's latency.
INLINE void step(Group *restrict A, Group *restrict B, const vd *value, const vd *marker) {
  vd y[2][UNITS], s[2 * CELLS];
  make_room(A);
  make_room(B);
  nets(A, value[0], marker[0], y[0]);
  logistic(UNITS, y[0]);
  nets(B, value[1], marker[1], y[1]);
  states(A, y[0], s);
  logistic(UNITS, y[1]);
  states(B, y[1], s + CELLS);
  logistic(2 * CELLS, s);
  cells(A, s);
  cells(B, s + CELLS);
}

static void run(int from, int to) {
  for (int t = from; t < to; t++) step(&groups[0], &groups[1], values[t], markers[t]);
}

// Lanes in `ends` learn from their sequence and start anew. Returns the output.
static vd learn(Group *G, vi ends) {
  const vd *z = G->z[G->n - 1], *y_c = G->z[G->n] + INPUTS, *y_out = y_c + CELLS + BLOCKS;
  vd e_s[CELLS], e_out[BLOCKS] = {}, y = G->V[CELLS];
  EACH(c, CELLS) y += G->V[c] * y_c[c];
  one_plus_exp_minus(1, &y);
  y = 1 / y;
  vd e = masked(RATE * (G->target - y) * y * (1 - y), ends);
  EACH(c, CELLS) {
    vd h = G->h[c], back = G->V[c] * e;
    e_s[c] = y_out[c / SIZE] * (0.5 - 0.5 * h * h) * back;
    e_out[c / SIZE] += h * back;
    G->V[c] += e * y_c[c];
    G->s[c] = masked(G->s[c], ~ends);
  }
  G->V[CELLS] += e;
  EACH(j, BLOCKS) e_out[j] *= y_out[j] * (1 - y_out[j]);
  for (int k = G->n; k < HISTORY; k++) EACH(u, UNITS) G->a[k][u] = (vd){};
  accumulate(G);
  for (int m = 0; m < SOURCES; m++) {
    vd *W = G->W[m], *S = G->S[m];
    EACH(c, CELLS) W[c] += e_s[c] * S[c];
    EACH(j, BLOCKS) {
      EACH(i, SIZE) W[CELLS + j] += e_s[j * SIZE + i] * S[CELLS + j * SIZE + i];
      W[CELLS + BLOCKS + j] += e_out[j] * z[m];
    }
    EACH(u, UNITS) S[u] = masked(S[u], ~ends);
  }
  EACH(u, UNITS) G->z[0][INPUTS + u] = masked(G->z[G->n][INPUTS + u], ~ends);
  G->n = 0;
  return y;
}

// ---- data, a block of steps ahead, and the ends of sequences
static void place_markers(int lane, int64_t block) {  // those of the lane's sequence that lie in the block
  const Stream *s = &streams[lane];
  const int64_t at[4] = {s->mark1, s->mark2, s->first, s->last};
  for (int i = 0; i < 4; i++)
    if (at[i] >= block && at[i] < block + BLOCK) markers[at[i] - block][lane / VECTOR][lane % VECTOR] = i < 2 ? 1 : -1;
}

static void fill(int64_t block) {
  for (int g = 0; g < GROUPS; g++) {
    vu key;
    for (int l = 0; l < VECTOR; l++) key[l] = streams[g * VECTOR + l].values;
    for (int t = 0; t < BLOCK; t++) {
      vu x = key + (uint64_t)(block + t) * GAMMA;
      x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
      x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
      x ^= x >> 31;
      values[t][g] = 2 * (vd)(x >> 12 | 0x3ff0000000000000u) - 3;
    }
  }
  memset(markers, 0, sizeof markers);
  for (int lane = 0; lane < LANES; lane++) place_markers(lane, block);
}

static void open_sequence(Group *G, int l, const Stream *s) {
  G->last[l] = s->last, G->target[l] = s->target;
  G->next_end = G->last[0];
  for (int i = 1; i < VECTOR; i++)
    if (G->last[i] < G->next_end) G->next_end = G->last[i];
}

static struct { int lane; int64_t sequences; } dumped = {-1, 0};

static void print_weights(int lane) {
  const Group *G = &groups[lane / VECTOR];
  for (int u = 0; u < UNITS; u++)
    for (int m = 0; m < SOURCES; m++) printf("%.17g ", G->W[m][u][lane % VECTOR]);
  for (int c = 0; c <= CELLS; c++) printf("%.17g%c", G->V[c][lane % VECTOR], c < CELLS ? ' ' : '\n');
}

static void end_sequences(int g, int64_t block, int64_t now) {
  Group *G = &groups[g];
  vi ends = G->last == now;
  vd error = learn(G, ends) - G->target;
  for (int l = 0; l < VECTOR; l++) {
    if (!ends[l]) continue;
    int lane = g * VECTOR + l;
    note(&windows[lane], fabs(error[l]));
    if (lane == dumped.lane && windows[lane].sequences == dumped.sequences) print_weights(lane), exit(0);
    next_sequence(&streams[lane]);
    open_sequence(G, l, &streams[lane]);
    place_markers(lane, block);
  }
}

static void train(int64_t steps) {
  for (int64_t block = 0; block < steps; block += BLOCK) {
    fill(block);
    for (int64_t now = block; now < block + BLOCK;) {
      int64_t end = block + BLOCK - 1;
      for (int g = 0; g < GROUPS; g++)
        if (groups[g].next_end < end) end = groups[g].next_end;
      run((int)(now - block), (int)(end + 1 - block));
      for (int g = 0; g < GROUPS; g++)
        if (groups[g].next_end == end) end_sequences(g, block, end);
      now = end + 1;
    }
  }
}

static void initialise(void) {
  make_table();
  for (int lane = 0; lane < LANES; lane++) {
    Group *G = &groups[lane / VECTOR];
    int l = lane % VECTOR;
    Stream *s = &streams[lane];
    *s = open_stream((uint64_t)lane);
    open_sequence(G, l, s);
    for (int u = 0; u < UNITS; u++)
      for (int m = 0; m < SOURCES; m++) G->W[m][u][l] = initial_weight(s, u, m);
    for (int c = 0; c <= CELLS; c++) G->V[c][l] = initial_weight(s, UNITS, c);
    for (int k = 0; k <= HISTORY; k++) G->z[k][SOURCES - 1] = splat(1);
  }
}

int main(int argc, char **argv) {
  initialise();
  if (argc == 4 && !strcmp(argv[1], "--dump")) {
    dumped.sequences = atoll(argv[2]), dumped.lane = atoi(argv[3]) % LANES;
    print_weights(dumped.lane);
    print_sequences((uint64_t)dumped.lane, dumped.sequences);
    train(INT64_MAX / 2);
  }
  int64_t steps = (argc > 1 ? atoll(argv[1]) : 50000000) / (LANES * BLOCK) * BLOCK;
  double start = seconds();
  train(steps);
  report(seconds() - start, steps, LANES, windows);
}
