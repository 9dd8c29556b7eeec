// 3x3 convolutions and their slopes by source and by filters: tap by tap, or by Winograd's products where these are
// less work.

#pragma once

#include <omp.h>

#include <vector>

#include "lanes.h"
#include "winograd.h"

namespace {

// One tile: P pixels by V vectors of output channels, summed over taps and input channels.
template <class S, int P, int V>
inline void pixels_tile(const S* const* from, const Int* taps, const S* const* weights, int count, Int inputs,
                        Int outputs, S* const* to, bool adds) {
    constexpr int L = Lanes<S>::count;
    Vector<S> sum[P][V];
#pragma GCC unroll 32
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sum[p][v] = Vector<S>{};
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
#pragma GCC unroll 32
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
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
    if (winograd_fits<S>(height, width, inputs, stride))
        return winograd(x, w, false, y, tasks, examples, height, width, inputs, outputs, weight_task, adds != 0);
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
    if (winograd_fits<S>(height, width, outputs, stride) && inputs % Lanes<S>::count == 0)
        return winograd(dy, v, true, dx, tasks, examples, height, width, outputs, inputs, weight_task, adds != 0);
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
    Vector<S> sum[R][V];
#pragma GCC unroll 32
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sum[r][v] = Vector<S>{};
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
#pragma GCC unroll 32
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
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
    if (winograd_fits<S>(height, width, inputs, stride))
        return winograd_filters(x, dy, dw, tasks, examples, height, width, inputs, outputs, adds != 0);
    constexpr int L = Lanes<S>::count;
    const Int out_height = halved(height, stride), out_width = halved(width, stride);
    const Int x_line = (width + 2) * inputs, dy_line = (out_width + 2) * outputs;
    const Int x_example = (height + 2) * x_line, dy_example = (out_height + 2) * dy_line;
    const Int rows = 9 * inputs, share = 48 < rows ? 48 : rows, shares = (rows + share - 1) / share;
    std::vector<Int> places(static_cast<std::size_t>(rows));
    for (Int row = 0; row < rows; ++row)
        places[std::size_t(row)] = row / inputs / 3 * x_line + row / inputs % 3 * inputs + row % inputs;
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
    filters_run<S, V>(from, slope + o, to + o, places.data(), begin, end, examples, out_height, out_width,              \
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

}  // namespace
