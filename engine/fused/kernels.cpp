// The blocks of conv4 for many tasks at once, each with weights of its own: 3x3 convolution, batch normalisation,
// ReLU, 2x2 max-pooling; forwards, backwards, and the derivative of both along a direction (Pearlmutter 1994).
//
// Maps are [task][example][row][column][channel]. "Padded" ones have a border of one zero cell on each side.
// Every number is computed by one thread in a fixed order: results do not depend on how many there are.

#include <cstddef>
#include <cstdint>
#include <cmath>
#include <cstring>
#include <omp.h>

namespace {

typedef std::ptrdiff_t Int;

#if defined(__AVX512F__)
constexpr int BYTES = 64, ACCUMULATORS = 24;
#elif defined(__AVX__)
constexpr int BYTES = 32, ACCUMULATORS = 12;
#else
constexpr int BYTES = 16, ACCUMULATORS = 24;
#endif
constexpr int WIDEST = 4;  // vectors of output channels that a tile holds

template <class S> struct Lanes {
    static constexpr int count = BYTES / sizeof(S);
    typedef S Vector __attribute__((vector_size(BYTES), aligned(sizeof(S)), may_alias));
};
template <class S> using Vector = typename Lanes<S>::Vector;

template <class S> inline Vector<S> load(const S* from) { return *reinterpret_cast<const Vector<S>*>(from); }
template <class S> inline void store(S* to, Vector<S> value) { *reinterpret_cast<Vector<S>*>(to) = value; }

// ---- Convolution -------------------------------------------------------------------------------------------

// One tile: P pixels by V vectors of output channels, summed over taps and input channels.
template <class S, int P, int V>
inline void pixels_tile(const S* const* from, const Int* taps, const S* const* weights, int count, Int inputs,
                        Int outputs, S* const* to, bool adds) {
    constexpr int L = Lanes<S>::count;
    Vector<S> sum[P][V] = {};
    for (int tap = 0; tap < count; ++tap) {
        const S* weight = weights[tap];
        const S* source[P];
        for (int p = 0; p < P; ++p) source[p] = from[p] + taps[tap];
        for (Int c = 0; c < inputs; ++c, weight += outputs) {
            Vector<S> row[V];
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) row[v] = load(weight + v * L);
#pragma GCC unroll 32
            for (int p = 0; p < P; ++p) {
                const S value = source[p][c];
#pragma GCC unroll 8
                for (int v = 0; v < V; ++v) sum[p][v] += value * row[v];
            }
        }
    }
    for (int p = 0; p < P; ++p)
        for (int v = 0; v < V; ++v) {
            S* place = to[p] + v * L;
            store(place, adds ? load(place) + sum[p][v] : sum[p][v]);
        }
}

struct Plan {  // which pixels of the source give a pixel of the destination
    Int rows, columns;               // destination pixels of this class
    Int from_row, from_column;       // cells of the padded source between neighbours, times its strides
    Int first;                       // offset of the first
    Int to_row, to_column, to_first; // the same in the destination
    bool adds;                       // to what stands there
    int count;
    Int taps[9];
    int numbers[9];
};

template <class S, int V>
void pixels_run(const S* source, const S* weight, S* destination, const Plan& plan, Int examples, Int source_example,
                Int destination_example, Int inputs, Int outputs, Int begin, Int end) {
    constexpr int P = ACCUMULATORS / V;
    const S* weights[9];
    for (int tap = 0; tap < plan.count; ++tap) weights[tap] = weight + plan.numbers[tap] * inputs * outputs;
    const Int each = plan.rows * plan.columns, last = examples * each - 1;
    for (Int at = begin; at < end; at += P) {
        const S* from[P];
        S* to[P];
        S spare[V * Lanes<S>::count] = {};
        for (int p = 0; p < P; ++p) {
            const Int pixel = at + p > last ? last : at + p;
            const Int example = pixel / each, row = pixel % each / plan.columns, column = pixel % plan.columns;
            from[p] = source + example * source_example + plan.first + row * plan.from_row + column * plan.from_column;
            // Beyond the last pixel that one is done again, for nobody.
            to[p] = at + p > last ? spare
                                  : destination + example * destination_example + plan.to_first + row * plan.to_row +
                                        column * plan.to_column;
        }
        pixels_tile<S, P, V>(from, plan.taps, weights, plan.count, inputs, outputs, to, plan.adds);
    }
}

// All tasks' pixels of one plan. `weight_task` is 0 where all tasks share their filters.
template <class S>
void pixels_all(const S* source, const S* weights, S* destination, const Plan& plan, Int tasks, Int examples,
                Int source_task, Int source_example, Int destination_task, Int destination_example, Int weight_task,
                Int inputs, Int outputs) {
    constexpr int L = Lanes<S>::count;
    const Int pixels = examples * plan.rows * plan.columns;
    const Int share = 96;  // a multiple of every tile
    const Int shares = (pixels + share - 1) / share;
    if (pixels == 0) return;
#pragma omp parallel for schedule(static)
    for (Int unit = 0; unit < tasks * shares; ++unit) {
        const Int task = unit / shares, begin = unit % shares * share;
        const Int end = begin + share < pixels ? begin + share : pixels;
        for (Int o = 0; o < outputs;) {
            const Int left = (outputs - o) / L;
            const S* from = source + task * source_task;
            const S* weight = weights + task * weight_task + o;
            S* to = destination + task * destination_task + o;
#define RUN(V)                                                                                                   \
    pixels_run<S, V>(from, weight, to, plan, examples, source_example, destination_example, inputs, outputs, begin, end)
            if (left >= 4) { RUN(4); o += 4 * L; }
            else if (left == 3) { RUN(3); o += 3 * L; }
            else if (left == 2) { RUN(2); o += 2 * L; }
            else { RUN(1); o += L; }
#undef RUN
        }
    }
}

inline Int halved(Int size, Int stride) { return (size + stride - 1) / stride; }

// y[t, b, i, j, o] = sum x[t, b, s i + di, s j + dj, c] w[t, di, dj, c, o]: padded x of height x width cells.
template <class S>
void convolve(const S* x, const S* w, S* y, Int tasks, Int examples, Int height, Int width, Int inputs, Int outputs,
              Int stride, Int weight_task, Int adds) {
    const Int line = (width + 2) * inputs, out_height = halved(height, stride), out_width = halved(width, stride);
    Plan plan{};
    plan.adds = adds != 0;
    plan.rows = out_height, plan.columns = out_width;
    plan.from_row = stride * line, plan.from_column = stride * inputs;
    plan.to_row = out_width * outputs, plan.to_column = outputs;
    plan.count = 9;
    for (int tap = 0; tap < 9; ++tap) plan.taps[tap] = tap / 3 * line + tap % 3 * inputs, plan.numbers[tap] = tap;
    const Int source = (height + 2) * line, destination = out_height * out_width * outputs;
    pixels_all(x, w, y, plan, tasks, examples, examples * source, source, examples * destination, destination,
               weight_task, inputs, outputs);
}

// dx = the transposed convolution of padded dy by v[t, di, dj, o, c]: as `convolve`, from dy's side; dx not padded.
template <class S>
void convolve_back(const S* dy, const S* v, S* dx, Int tasks, Int examples, Int height, Int width, Int inputs,
                   Int outputs, Int stride, Int weight_task, Int adds) {
    const Int out_height = halved(height, stride), out_width = halved(width, stride);
    const Int line = (out_width + 2) * outputs;
    const Int source = (out_height + 2) * line, destination = height * width * inputs;
    for (Int odd_row = 0; odd_row < stride; ++odd_row)
        for (Int odd_column = 0; odd_column < stride; ++odd_column) {
            Plan plan{};
            plan.adds = adds != 0;
            plan.rows = (height - odd_row + stride - 1) / stride;
            plan.columns = (width - odd_column + stride - 1) / stride;
            plan.from_row = line, plan.from_column = outputs, plan.first = 0;
            plan.to_row = stride * width * inputs, plan.to_column = stride * inputs;
            plan.to_first = odd_row * width * inputs + odd_column * inputs;
            for (Int di = 0; di < 3; ++di)
                for (Int dj = 0; dj < 3; ++dj) {
                    // Row s r + odd gets from output row i where s i + di - 1 is it; padded rows begin at 1.
                    const Int up = odd_row + 1 - di, left = odd_column + 1 - dj;
                    if (up % stride || left % stride) continue;
                    plan.numbers[plan.count] = int(di * 3 + dj);
                    plan.taps[plan.count++] = (up / stride + 1) * line + (left / stride + 1) * outputs;
                }
            pixels_all(dy, v, dx, plan, tasks, examples, examples * source, source, examples * destination,
                       destination, weight_task, outputs, inputs);
        }
}

// One tile of filters: R rows (a tap's input channel each) by V vectors of output channels, over all pixels.
template <class S, int R, int V>
inline void filters_tile(const S* x, const Int* rows, const S* dy, Int examples, Int height, Int width, Int x_row,
                         Int x_column, Int x_example, Int dy_row, Int dy_column, Int dy_example, S* dw, Int outputs,
                         bool adds) {
    constexpr int L = Lanes<S>::count;
    Vector<S> sum[R][V] = {};
    Int place[R];
    for (int r = 0; r < R; ++r) place[r] = rows[r];
    for (Int b = 0; b < examples; ++b)
        for (Int i = 0; i < height; ++i) {
            const S* from = x + b * x_example + i * x_row;
            const S* slope = dy + b * dy_example + i * dy_row;
            for (Int j = 0; j < width; ++j, from += x_column, slope += dy_column) {
                Vector<S> value[V];
#pragma GCC unroll 8
                for (int v = 0; v < V; ++v) value[v] = load(slope + v * L);
#pragma GCC unroll 32
                for (int r = 0; r < R; ++r) {
                    const S one = from[place[r]];
#pragma GCC unroll 8
                    for (int v = 0; v < V; ++v) sum[r][v] += one * value[v];
                }
            }
        }
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) {
            S* to = dw + r * outputs + v * L;
            store(to, adds ? load(to) + sum[r][v] : sum[r][v]);
        }
}

template <class S, int V>
void filters_run(const S* x, const S* dy, S* dw, const Int* rows, Int begin, Int end, Int examples, Int height,
                 Int width, Int x_row, Int x_column, Int x_example, Int dy_row, Int dy_column, Int dy_example,
                 Int outputs, bool adds) {
    constexpr int R = ACCUMULATORS / V;
    Int at = begin;
#define TILE(N)                                                                                                     \
    filters_tile<S, N, V>(x, rows + at, dy, examples, height, width, x_row, x_column, x_example, dy_row, dy_column, \
                          dy_example, dw + at * outputs, outputs, adds)
    for (; at + R <= end; at += R) TILE(R);
    for (; at + 3 <= end; at += 3) TILE(3);
    for (; at < end; ++at) TILE(1);
#undef TILE
}

// dw[t, di, dj, c, o] (+)= sum x[t, b, s i + di, s j + dj, c] dy[t, b, i, j, o]; both padded.
template <class S>
void convolve_filters(const S* x, const S* dy, S* dw, Int tasks, Int examples, Int height, Int width, Int inputs,
                      Int outputs, Int stride, Int adds) {
    constexpr int L = Lanes<S>::count;
    const Int out_height = halved(height, stride), out_width = halved(width, stride);
    const Int x_line = (width + 2) * inputs, dy_line = (out_width + 2) * outputs;
    const Int x_example = (height + 2) * x_line, dy_example = (out_height + 2) * dy_line;
    const Int rows = 9 * inputs, share = 48 < rows ? 48 : rows, shares = (rows + share - 1) / share;
    Int places[9 * 512];
    if (inputs > 512) return;
    for (Int row = 0; row < rows; ++row)
        places[row] = row / inputs / 3 * x_line + row / inputs % 3 * inputs + row % inputs;
#pragma omp parallel for schedule(static)
    for (Int unit = 0; unit < tasks * shares; ++unit) {
        const Int task = unit / shares, begin = unit % shares * share;
        const Int end = begin + share < rows ? begin + share : rows;
        const S* from = x + task * examples * x_example;
        const S* slope = dy + task * examples * dy_example + dy_line + outputs;
        S* to = dw + task * rows * outputs;
        for (Int o = 0; o < outputs;) {
            const Int left = (outputs - o) / L;
#define RUN(V)                                                                                                   \
    filters_run<S, V>(from, slope + o, to + o, places, begin, end, examples, out_height, out_width,              \
                      stride * x_line, stride * inputs, x_example, dy_line, outputs, dy_example, outputs, adds != 0)
            if (left >= 4) { RUN(4); o += 4 * L; }
            else if (left == 3) { RUN(3); o += 3 * L; }
            else if (left == 2) { RUN(2); o += 2 * L; }
            else { RUN(1); o += L; }
#undef RUN
        }
    }
}

// v[t, di, dj, o, c] = w[t, di, dj, c, o]
template <class S> void transpose(const S* w, S* v, Int tasks, Int inputs, Int outputs) {
#pragma omp parallel for schedule(static)
    for (Int unit = 0; unit < tasks * 9; ++unit) {
        const S* from = w + unit * inputs * outputs;
        S* to = v + unit * inputs * outputs;
        for (Int o = 0; o < outputs; o += 8)
            for (Int c = 0; c < inputs; ++c)
                for (Int k = o; k < o + 8 && k < outputs; ++k) to[k * inputs + c] = from[c * outputs + k];
    }
}

// ---- Normalisation, ReLU and pooling ------------------------------------------------------------------------

constexpr std::uint8_t DEAD = 255;  // what no gradient passes: ReLU's zero

// `W` is the pooling's window: 2, or 1 without pooling.
template <int W> struct Shape {
    static constexpr int cells = W * W;
    Int tasks, examples, height, width, channels;
    Int pooled_height() const { return height / W; }
    Int pooled_width() const { return width / W; }
    Int pixels() const { return examples * height * width; }
    // How far a window's cell of that number is from its first.
    Int within(int number) const { return (number / W * width + number % W) * channels; }
};

// Units are a task's vector of channels: each cell of a map is one load.
template <class S, int W, class Work> void each_column(const Shape<W>& shape, Work work) {
    constexpr int L = Lanes<S>::count;
    const Int columns = shape.channels / L;
#pragma omp parallel for schedule(static)
    for (Int unit = 0; unit < shape.tasks * columns; ++unit) work(unit / columns, unit % columns * L);
}

template <class S> struct Whole;
template <> struct Whole<float> { typedef std::int32_t Number; };
template <> struct Whole<double> { typedef std::int64_t Number; };

template <class S> struct Choice {  // which cell of each window goes on, by lane
    typedef typename Whole<S>::Number Numbers __attribute__((vector_size(BYTES)));
    typedef std::uint8_t Small __attribute__((vector_size(BYTES / sizeof(S)), aligned(1), may_alias));
    Numbers numbers;
    void read(const std::uint8_t* from) {
        numbers = __builtin_convertvector(*reinterpret_cast<const Small*>(from), Numbers);
    }
    void write(std::uint8_t* to) const { *reinterpret_cast<Small*>(to) = __builtin_convertvector(numbers, Small); }
    // What of `value` a cell of that number gets.
    Vector<S> of(int number, Vector<S> value) const { return numbers == number ? value : Vector<S>{}; }
    Vector<S> alive(Vector<S> value) const { return numbers == int(DEAD) ? Vector<S>{} : value; }
};

// Zeros on the border of a task's column of a padded map.
template <class S> inline void clear_border(S* map, Int examples, Int height, Int width, Int channels) {
    const Int line = (width + 2) * channels;
    for (Int b = 0; b < examples; ++b, map += (height + 2) * line) {
        for (Int j = 0; j < width + 2; ++j) {
            store(map + j * channels, Vector<S>{});
            store(map + (height + 1) * line + j * channels, Vector<S>{});
        }
        for (Int i = 1; i <= height; ++i) {
            store(map + i * line, Vector<S>{});
            store(map + i * line + (width + 1) * channels, Vector<S>{});
        }
    }
}

// Statistics of each task's channels over all its cells, then scale, shift, ReLU and pooling.
template <class S, int W>
void norm_forward(const S* x, const S* scale, const S* shift, Int norm_task, S* out, std::uint8_t* chosen, S* mean,
                  S* root, S* variance, S epsilon, const Shape<W> shape) {
    constexpr int L = Lanes<S>::count;
    typedef Vector<S> V;
    const Int C = shape.channels, rows = shape.examples * shape.height, line = shape.width * C;
    const Int height = shape.pooled_height(), width = shape.pooled_width();
    const Int out_line = (width + 2) * C, out_example = (height + 2) * out_line;
    each_column<S>(shape, [&](Int task, Int c) {
        const S* from = x + task * rows * line + c;
        clear_border(out + task * shape.examples * out_example + c, shape.examples, height, width, C);
        V total = {};
        for (Int row = 0; row < rows; ++row) {
            V part = {};
            for (Int j = 0; j < shape.width; ++j) part += load(from + row * line + j * C);
            total += part;
        }
        const V middle = total / S(shape.pixels());
        V squares = {};
        for (Int row = 0; row < rows; ++row) {
            V part = {};
            for (Int j = 0; j < shape.width; ++j) {
                const V off = load(from + row * line + j * C) - middle;
                part += off * off;
            }
            squares += part;
        }
        const V spread = squares / S(shape.pixels());
        V inverse;
        for (int l = 0; l < L; ++l) inverse[l] = S(1) / std::sqrt(spread[l] + epsilon);
        store(mean + task * C + c, middle);
        store(variance + task * C + c, spread);
        store(root + task * C + c, inverse);
        const V gain = inverse * load(scale + task * norm_task + c);
        const V base = load(shift + task * norm_task + c) - middle * gain;
        for (Int b = 0; b < shape.examples; ++b)
            for (Int i = 0; i < height; ++i)
                for (Int j = 0; j < width; ++j) {
                    const S* cell = from + ((b * shape.height + i * W) * shape.width + j * W) * C;
                    V best = load(cell) * gain + base;
                    Choice<S> choice{};
                    for (int k = 1; k < W * W; ++k) {
                        const V other = load(cell + shape.within(k)) * gain + base;
                        const auto better = other > best;
                        best = better ? other : best;
                        choice.numbers = better ? choice.numbers * 0 + k : choice.numbers;
                    }
                    const auto alive = best > S(0);
                    store(out + (task * shape.examples + b) * out_example + (i + 1) * out_line + (j + 1) * C + c,
                          alive ? best : V{});
                    choice.numbers = alive ? choice.numbers : choice.numbers * 0 + int(DEAD);
                    choice.write(chosen + (((task * shape.examples + b) * height + i) * width + j) * C + c);
                }
    });
}

// Goes over the windows of a task's column: work(first cell of x, cell of the pooled map, the same in the padded
// one, choice).
template <class S, int W, class Work>
inline void each_window(const Shape<W>& shape, const std::uint8_t* chosen, Int task, Int c, Work work) {
    const Int C = shape.channels, height = shape.pooled_height(), width = shape.pooled_width();
    for (Int b = task * shape.examples; b < (task + 1) * shape.examples; ++b)
        for (Int i = 0; i < height; ++i) {
            Int first = (b * shape.height + i * W) * shape.width * C + c;
            Int cell = (b * height + i) * width * C + c;
            Int padded = ((b * (height + 2) + i + 1) * (width + 2) + 1) * C + c;
            for (Int j = 0; j < width; ++j, first += W * C, cell += C, padded += C) {
                Choice<S> choice;
                choice.read(chosen + cell);
                work(first, cell, padded, choice);
            }
        }
}

// The value of a map where its window's choice lies; zero where there is none.
template <class S, int W>
inline Vector<S> at_choice(const S* map, Int first, const Shape<W>& shape, const Choice<S>& choice) {
    Vector<S> found = choice.of(0, load(map + first));
    for (int k = 1; k < W * W; ++k) found += choice.of(k, load(map + first + shape.within(k)));
    return found;
}

// Goes over all cells of a task's column: work(cell of x, cell of padded dx, what of the slopes reaches it).
template <class S, int W, class Work>
inline void each_cell(const Shape<W>& shape, S* to_map, const std::uint8_t* chosen, Int task, Int c, Work work) {
    const Int C = shape.channels, height = shape.pooled_height(), width = shape.pooled_width();
    const Int padded_line = (shape.width + 2) * C, padded = (shape.height + 2) * padded_line;
    clear_border(to_map + task * shape.examples * padded + c, shape.examples, shape.height, shape.width, C);
    for (Int b = 0; b < shape.examples; ++b)
        for (Int i = 0; i < shape.height; ++i)
            for (Int j = 0; j < shape.width; ++j) {
                const Int at = (((task * shape.examples + b) * shape.height + i) * shape.width + j) * C + c;
                const Int to = (task * shape.examples + b) * padded + (i + 1) * padded_line + (j + 1) * C + c;
                const Int up = i / W, left = j / W;
                if (up < height && left < width) {
                    const Int cell = (((task * shape.examples + b) * height + up) * width + left) * C + c;
                    Choice<S> choice;
                    choice.read(chosen + cell);
                    const int number = int(i % W * W + j % W);
                    work(at, to, [&](const S* slopes) { return choice.of(number, load(slopes + cell)); });
                } else {
                    work(at, to, [&](const S*) { return Vector<S>{}; });
                }
            }
}

// From the slopes of what went out: those of scale and shift, their means, and the (padded) slope of x.
template <class S, int W>
void norm_backward(const S* x, const S* scale, Int norm_task, const std::uint8_t* chosen, const S* mean, const S* root,
                   const S* slope, S* to, S* of_scale, S* of_shift, const Shape<W> shape) {
    typedef Vector<S> V;
    const Int C = shape.channels;
    each_column<S>(shape, [&](Int task, Int c) {
        const Int channel = task * C + c;
        const V middle = load(mean + channel), inverse = load(root + channel);
        V sum = {}, along = {};
        each_window<S>(shape, chosen, task, c, [&](Int first, Int cell, Int, const Choice<S>& choice) {
            const V value = load(slope + cell);
            V passed = {}, weighed = {};
            for (int k = 0; k < W * W; ++k) {
                const V part = choice.of(k, value);
                passed += part;
                weighed += part * (load(x + first + shape.within(k)) - middle);
            }
            sum += passed;
            along += weighed;
        });
        along *= inverse;
        store(of_shift + channel, sum);
        store(of_scale + channel, along);
        const V gain = inverse * load(scale + task * norm_task + c);
        const V mean_sum = sum / S(shape.pixels()), mean_along = along / S(shape.pixels());
        each_cell<S>(shape, to, chosen, task, c, [&](Int at, Int place, auto reaching) {
            const V normal = (load(x + at) - middle) * inverse;
            store(to + place, gain * (reaching(slope) - mean_sum - normal * mean_along));
        });
    });
}

// Along a direction (dx, dscale, dshift; none where null): the change of what goes out (padded), and what the way
// back needs: the mean of dx, and that of dx times the normalised x.
template <class S, int W>
void norm_tangent(const S* x, const S* dx, const S* scale, Int norm_task, const S* dscale, const S* dshift,
                  const std::uint8_t* chosen, const S* mean, const S* root, S* out, S* dmean, S* dalong,
                  const Shape<W> shape) {
    typedef Vector<S> V;
    const Int C = shape.channels, height = shape.pooled_height(), width = shape.pooled_width();
    const Int out_line = (width + 2) * C, out_example = (height + 2) * out_line;
    const Int rows = shape.examples * shape.height, line = shape.width * C;
    each_column<S>(shape, [&](Int task, Int c) {
        const Int channel = task * C + c;
        const V middle = load(mean + channel), inverse = load(root + channel);
        const S* from = x + task * rows * line + c;
        const S* change = dx + task * rows * line + c;
        clear_border(out + task * shape.examples * out_example + c, shape.examples, height, width, C);
        V sum = {}, along = {};
        for (Int row = 0; row < rows; ++row) {
            V part = {}, weighed = {};
            for (Int j = 0; j < shape.width; ++j) {
                const V value = load(change + row * line + j * C);
                part += value;
                weighed += value * (load(from + row * line + j * C) - middle);
            }
            sum += part;
            along += weighed;
        }
        const V drift = sum / S(shape.pixels()), lean = along * inverse / S(shape.pixels());
        store(dmean + channel, drift);
        store(dalong + channel, lean);
        const V gain = load(scale + task * norm_task + c);
        const V more = dscale ? load(dscale + channel) : V{}, up = dshift ? load(dshift + channel) : V{};
        each_window<S>(shape, chosen, task, c, [&](Int first, Int, Int padded, const Choice<S>& choice) {
            const V normal = (at_choice(x, first, shape, choice) - middle) * inverse;
            const V turned = inverse * (at_choice(dx, first, shape, choice) - drift - normal * lean);
            const V value = choice.alive(more * normal + gain * turned + up);
            store(out + padded, value);
        });
    });
}

// The change along a direction of what `norm_backward` gives; `of_scale` and `of_shift` are what that gave.
template <class S, int W>
void norm_tangent_backward(const S* x, const S* dx, const S* scale, Int norm_task, const S* dscale,
                           const std::uint8_t* chosen, const S* mean, const S* root, const S* dmean, const S* dalong,
                           const S* slope, const S* dslope, const S* of_scale, const S* of_shift, S* to,
                           S* change_of_scale, S* change_of_shift, const Shape<W> shape) {
    typedef Vector<S> V;
    const Int C = shape.channels;
    each_column<S>(shape, [&](Int task, Int c) {
        const Int channel = task * C + c;
        const V middle = load(mean + channel), inverse = load(root + channel);
        const V drift = load(dmean + channel), lean = load(dalong + channel);
        V sum = {}, along = {};
        each_window<S>(shape, chosen, task, c, [&](Int first, Int cell, Int, const Choice<S>& choice) {
            const V value = load(slope + cell), change = load(dslope + cell);
            const V normal = (at_choice(x, first, shape, choice) - middle) * inverse;
            const V turned = inverse * (at_choice(dx, first, shape, choice) - drift - normal * lean);
            const V passed = choice.alive(change);
            const V weighed = choice.alive(change * normal + value * turned);
            sum += passed;
            along += weighed;
        });
        store(change_of_shift + channel, sum);
        store(change_of_scale + channel, along);
        const S count = S(shape.pixels());
        const V weight = load(scale + task * norm_task + c), more = dscale ? load(dscale + channel) : V{};
        const V gain = weight * inverse, dgain = more * inverse - gain * inverse * lean;
        const V mean_sum = load(of_shift + channel) / count, mean_along = load(of_scale + channel) / count;
        const V dmean_sum = sum / count, dmean_along = along / count;
        each_cell<S>(shape, to, chosen, task, c, [&](Int at, Int place, auto reaching) {
            const V normal = (load(x + at) - middle) * inverse;
            const V turned = inverse * (load(dx + at) - drift - normal * lean);
            store(to + place,
                  dgain * (reaching(slope) - mean_sum - normal * mean_along) +
                      gain * (reaching(dslope) - dmean_sum - turned * mean_along - normal * dmean_along));
        });
    });
}

}  // namespace

// What is exported takes its sizes as an array: tasks, examples, height, width and, of a convolution, inputs,
// outputs, stride; of a normalisation, channels and window.

template <class Work> void by_window(const Int* size, Work work) {
    if (size[5] == 2)
        work(Shape<2>{size[0], size[1], size[2], size[3], size[4]});
    else
        work(Shape<1>{size[0], size[1], size[2], size[3], size[4]});
}

#define SIZES size[0], size[1], size[2], size[3], size[4], size[5], size[6]
#define EXPORT(S, NAME) \
    void convolve_##NAME(const S* x, const S* w, S* y, Int step, Int adds, const Int* size) { \
        convolve<S>(x, w, y, SIZES, step, adds); \
    } \
    void convolve_back_##NAME(const S* dy, const S* v, S* dx, Int step, Int adds, const Int* size) { \
        convolve_back<S>(dy, v, dx, SIZES, step, adds); \
    } \
    void convolve_filters_##NAME(const S* x, const S* dy, S* dw, Int adds, const Int* size) { \
        convolve_filters<S>(x, dy, dw, SIZES, adds); \
    } \
    void transpose_##NAME(const S* w, S* v, const Int* size) { transpose<S>(w, v, size[0], size[1], size[2]); } \
    void norm_forward_##NAME(const S* x, const S* scale, const S* shift, Int step, S* out, std::uint8_t* chosen, \
                             S* mean, S* root, S* variance, double epsilon, const Int* size) { \
        by_window(size, [&](auto shape) { \
            norm_forward<S>(x, scale, shift, step, out, chosen, mean, root, variance, S(epsilon), shape); \
        }); \
    } \
    void norm_backward_##NAME(const S* x, const S* scale, Int step, const std::uint8_t* chosen, const S* mean, \
                              const S* root, const S* slope, S* to, S* of_scale, S* of_shift, const Int* size) { \
        by_window(size, [&](auto shape) { \
            norm_backward<S>(x, scale, step, chosen, mean, root, slope, to, of_scale, of_shift, shape); \
        }); \
    } \
    void norm_tangent_##NAME(const S* x, const S* dx, const S* scale, Int step, const S* dscale, const S* dshift, \
                             const std::uint8_t* chosen, const S* mean, const S* root, S* out, S* dmean, S* dalong, \
                             const Int* size) { \
        by_window(size, [&](auto shape) { \
            norm_tangent<S>(x, dx, scale, step, dscale, dshift, chosen, mean, root, out, dmean, dalong, shape); \
        }); \
    } \
    void norm_tangent_backward_##NAME(const S* x, const S* dx, const S* scale, Int step, const S* dscale, \
                                      const std::uint8_t* chosen, const S* mean, const S* root, const S* dmean, \
                                      const S* dalong, const S* slope, const S* dslope, const S* of_scale, \
                                      const S* of_shift, S* to, S* change_of_scale, S* change_of_shift, \
                                      const Int* size) { \
        by_window(size, [&](auto shape) { \
            norm_tangent_backward<S>(x, dx, scale, step, dscale, chosen, mean, root, dmean, dalong, slope, dslope, \
                                     of_scale, of_shift, to, change_of_scale, change_of_shift, shape); \
        }); \
    } \
    Int lanes_##NAME() { return Lanes<S>::count; }

extern "C" {
EXPORT(float, float32)
EXPORT(double, float64)
}
