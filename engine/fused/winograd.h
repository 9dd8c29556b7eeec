// 3x3 convolutions of stride 1 by 2x2 cells at a time, with 16 products in place of 36 (Winograd 1980; Lavin and
// Gray 2016, F(2x2, 3x3)):
//
//     y = A' [(G w G') . (B' x B)] A,    and the filters' slope    dw = G' [sum of (B' x B) . (A dy A')] G.
//
// The products of each of the 16 places are matrices: of some tiles by channels and of channels by channels.

#pragma once

#include <omp.h>

#include "lanes.h"

namespace {

constexpr Int TILES = 48;  // worked on together: their transforms stay in the second cache

struct Tiling {  // of maps of height x width cells
    Int examples, height, width, down, across;
    Tiling(Int examples, Int height, Int width)
        : examples(examples), height(height), width(width), down((height + 1) / 2), across((width + 1) / 2) {}
    Int count() const { return examples * down * across; }
    Int blocks() const { return (count() + TILES - 1) / TILES; }
    Int begin(Int block) const { return count() * block / blocks(); }
};

// Whether it is less work than nine taps a cell, with what the transforms cost.
template <class S> inline bool winograd_fits(Int height, Int width, Int inputs, Int stride) {
    const Tiling tiling(1, height, width);
    return stride == 1 && inputs % Lanes<S>::count == 0 && 13 * 16 * tiling.count() < 10 * 9 * height * width;
}

// From one place's matrix to the next: a vector more than its size, or all 16 would share a line of the cache.
template <class S> inline Int place_size(Int rows, Int columns) { return rows * columns + Lanes<S>::count; }

// to[place][tile][channel] = B' x B, of padded maps; `line` channels from `x` on. Beyond the map cells are zero.
template <class S>
void source_tiles(const S* x, const Tiling& tiling, Int channels, Int line, Int begin, Int end, S* to) {
    constexpr int L = Lanes<S>::count;
    const Int row = (tiling.width + 2) * channels, example = (tiling.height + 2) * row;
    const Int place = place_size<S>(TILES, line), each = tiling.down * tiling.across;
    for (Int tile = begin; tile < end; ++tile, to += line) {
        const Int i = tile % each / tiling.across * 2, j = tile % tiling.across * 2;
        const S* corner = x + tile / each * example + i * row + j * channels;
        const bool low = i + 4 <= tiling.height + 2, right = j + 4 <= tiling.width + 2;
        for (Int c = 0; c < line; c += L) {
            Vector<S> e[4][4];
#pragma GCC unroll 4
            for (int q = 0; q < 4; ++q) {
                const S* cell = corner + q * channels + c;
                const bool here = q < 3 || right;
                const Vector<S> none{};
                const Vector<S> first = here ? load(cell) : none, second = here ? load(cell + row) : none;
                const Vector<S> third = here ? load(cell + 2 * row) : none;
                const Vector<S> fourth = here && low ? load(cell + 3 * row) : none;
                e[0][q] = first - third, e[1][q] = second + third;
                e[2][q] = third - second, e[3][q] = second - fourth;
            }
#pragma GCC unroll 4
            for (int p = 0; p < 4; ++p) {
                S* there = to + 4 * p * place + c;
                store(there, e[p][0] - e[p][2]);
                store(there + place, e[p][1] + e[p][2]);
                store(there + 2 * place, e[p][2] - e[p][1]);
                store(there + 3 * place, e[p][1] - e[p][3]);
            }
        }
    }
}

// to[place][input][output] = G w G', of filters w[tap][input][output], or of those turned by half a circle.
template <class S> void filter_places(const S* w, Int inputs, Int outputs, bool turned, S* to) {
    constexpr int L = Lanes<S>::count;
    const Int place = place_size<S>(inputs, outputs);
    for (Int at = 0; at < inputs * outputs; at += L) {
        Vector<S> h[4][3];
#pragma GCC unroll 3
        for (int q = 0; q < 3; ++q) {
            Vector<S> g[3];
            for (int p = 0; p < 3; ++p) {
                const int tap = 3 * p + q;
                g[p] = load(w + (turned ? 8 - tap : tap) * inputs * outputs + at);
            }
            h[0][q] = g[0], h[3][q] = g[2];
            h[1][q] = (g[0] + g[2] + g[1]) * S(0.5), h[2][q] = (g[0] + g[2] - g[1]) * S(0.5);
        }
#pragma GCC unroll 4
        for (int p = 0; p < 4; ++p) {
            S* there = to + 4 * p * place + at;
            store(there, h[p][0]);
            store(there + place, (h[p][0] + h[p][2] + h[p][1]) * S(0.5));
            store(there + 2 * place, (h[p][0] + h[p][2] - h[p][1]) * S(0.5));
            store(there + 3 * place, h[p][2]);
        }
    }
}

// y (+)= A' m A, of m[place][tile][output], onto maps that are not padded.
template <class S>
void give_tiles(const S* m, const Tiling& tiling, Int outputs, Int begin, Int end, S* y, bool adds) {
    constexpr int L = Lanes<S>::count;
    const Int row = tiling.width * outputs, place = place_size<S>(TILES, outputs);
    const Int each = tiling.down * tiling.across;
    for (Int tile = begin; tile < end; ++tile, m += outputs) {
        const Int i = tile % each / tiling.across * 2, j = tile % tiling.across * 2;
        S* corner = y + tile / each * tiling.height * row + i * row + j * outputs;
        const bool low = i + 1 < tiling.height, right = j + 1 < tiling.width;
        for (Int o = 0; o < outputs; o += L) {
            Vector<S> half[2][4];
#pragma GCC unroll 4
            for (int q = 0; q < 4; ++q) {
                const S* from = m + q * place + o;
                const Vector<S> second = load(from + 4 * place), third = load(from + 8 * place);
                half[0][q] = load(from) + second + third;
                half[1][q] = second - third - load(from + 12 * place);
            }
#pragma GCC unroll 2
            for (int p = 0; p < 2; ++p) {
                if (p && !low) break;
                S* to = corner + p * row + o;
                const Vector<S> left = half[p][0] + half[p][1] + half[p][2];
                store(to, adds ? load(to) + left : left);
                if (!right) continue;
                const Vector<S> beside = half[p][1] - half[p][2] - half[p][3];
                store(to + outputs, adds ? load(to + outputs) + beside : beside);
            }
        }
    }
}

// to[place][tile][output] = A dy A', of padded maps: their border stands where a tile goes beyond.
template <class S>
void slope_tiles(const S* dy, const Tiling& tiling, Int outputs, Int begin, Int end, S* to) {
    constexpr int L = Lanes<S>::count;
    const Int row = (tiling.width + 2) * outputs, example = (tiling.height + 2) * row;
    const Int place = place_size<S>(TILES, outputs), each = tiling.down * tiling.across;
    for (Int tile = begin; tile < end; ++tile, to += outputs) {
        const Int i = tile % each / tiling.across * 2, j = tile % tiling.across * 2;
        const S* corner = dy + tile / each * example + (i + 1) * row + (j + 1) * outputs;
        for (Int o = 0; o < outputs; o += L) {
            Vector<S> tall[4][2];
#pragma GCC unroll 2
            for (int q = 0; q < 2; ++q) {
                const Vector<S> upper = load(corner + q * outputs + o), lower = load(corner + row + q * outputs + o);
                tall[0][q] = upper, tall[1][q] = upper + lower, tall[2][q] = upper - lower, tall[3][q] = -lower;
            }
#pragma GCC unroll 4
            for (int p = 0; p < 4; ++p) {
                S* there = to + 4 * p * place + o;
                store(there, tall[p][0]);
                store(there + place, tall[p][0] + tall[p][1]);
                store(there + 2 * place, tall[p][0] - tall[p][1]);
                store(there + 3 * place, -tall[p][1]);
            }
        }
    }
}

// dw (+)= G' u G, of u[place][input][output] of some inputs; dw[tap] of all of them.
template <class S> void give_filters(const S* u, Int inputs, Int outputs, Int tap, S* dw, bool adds) {
    constexpr int L = Lanes<S>::count;
    const Int place = place_size<S>(inputs, outputs);
    for (Int at = 0; at < inputs * outputs; at += L) {
        Vector<S> short_[3][4];
#pragma GCC unroll 4
        for (int q = 0; q < 4; ++q) {
            const S* from = u + q * place + at;
            const Vector<S> second = load(from + 4 * place), third = load(from + 8 * place);
            const Vector<S> both = (second + third) * S(0.5);
            short_[0][q] = load(from) + both, short_[1][q] = (second - third) * S(0.5);
            short_[2][q] = both + load(from + 12 * place);
        }
#pragma GCC unroll 3
        for (int p = 0; p < 3; ++p) {
            const Vector<S>* h = short_[p];
            const Vector<S> both = (h[1] + h[2]) * S(0.5);
            const Vector<S> found[3] = {h[0] + both, (h[1] - h[2]) * S(0.5), both + h[3]};
            for (int q = 0; q < 3; ++q) {
                S* to = dw + (3 * p + q) * tap + at;
                store(to, adds ? load(to) + found[q] : found[q]);
            }
        }
    }
}

// c[m][n] (+)= sum over k of a[m * row + k * step] * b[k][n]: R rows and V vectors of it.
template <class S, int R, int V>
inline void product_tile(const S* a, Int row, Int step, const S* b, Int line, Int depth, S* c, bool adds) {
    constexpr int L = Lanes<S>::count;
    Vector<S> sum[R][V];
#pragma GCC unroll 32
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sum[r][v] = Vector<S>{};
    for (Int k = 0; k < depth; ++k, a += step, b += line) {
        Vector<S> from[V];
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) from[v] = load(b + v * L);
#pragma GCC unroll 32
        for (int r = 0; r < R; ++r) {
            const S value = a[r * row];
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) sum[r][v] += value * from[v];
        }
    }
#pragma GCC unroll 32
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) {
            S* to = c + r * line + v * L;
            store(to, adds ? load(to) + sum[r][v] : sum[r][v]);
        }
}

// The same of `rows` rows and `line` columns, whole vectors; b's lines and c's are as long.
template <class S>
void places_product(const S* a, Int row, Int step, const S* b, Int line, Int depth, S* c, Int rows, bool adds) {
    constexpr int L = Lanes<S>::count;
    for (Int n = 0; n < line;) {
        const Int left = (line - n) / L;
        Int m = 0;
#define PRODUCT(R, V) product_tile<S, R, V>(a + m * row, row, step, b + n, line, depth, c + m * line + n, adds)
#define STRIP(V)                                                                               \
    for (; m + ACCUMULATORS / V <= rows; m += ACCUMULATORS / V) PRODUCT(ACCUMULATORS / V, V); \
    for (; m + 2 <= rows; m += 2) PRODUCT(2, V);                                              \
    for (; m < rows; ++m) PRODUCT(1, V);                                                      \
    n += V * L
        if (left >= 4) { STRIP(4); }
        else if (left == 3) { STRIP(3); }
        else if (left == 2) { STRIP(2); }
        else { STRIP(1); }
#undef STRIP
#undef PRODUCT
    }
}

// y (+)= the convolution of padded x by w[task][tap][input][output], or by those turned.
template <class S>
void winograd(const S* x, const S* w, bool turned, S* y, Int tasks, Int examples, Int height, Int width, Int inputs,
              Int outputs, Int weight_task, bool adds) {
    const Tiling tiling(examples, height, width);
    const Int filter = place_size<S>(inputs, outputs), source = place_size<S>(TILES, inputs);
    const Int product = place_size<S>(TILES, outputs), blocks = tiling.blocks();
    const Int from_task = examples * (height + 2) * (width + 2) * inputs, to_task = examples * height * width * outputs;
#pragma omp parallel
    {
        S* const filters = scratch<S>(16 * (filter + source + product));
        S* const sources = filters + 16 * filter;
        S* const products = sources + 16 * source;
        const S* known = nullptr;
#pragma omp for schedule(static)
        for (Int unit = 0; unit < tasks * blocks; ++unit) {
            const Int task = unit / blocks, begin = tiling.begin(unit % blocks), end = tiling.begin(unit % blocks + 1);
            const S* own = w + task * weight_task;
            if (own != known) filter_places(own, inputs, outputs, turned, filters);
            known = own;
            source_tiles(x + task * from_task, tiling, inputs, inputs, begin, end, sources);
            for (int place = 0; place < 16; ++place)
                places_product(sources + place * source, inputs, Int(1), filters + place * filter, outputs, inputs,
                               products + place * product, end - begin, false);
            give_tiles(products, tiling, outputs, begin, end, y + task * to_task, adds);
        }
    }
}

// dw (+)= the filters' slope, of padded x and dy.
template <class S>
void winograd_filters(const S* x, const S* dy, S* dw, Int tasks, Int examples, Int height, Int width, Int inputs,
                      Int outputs, bool adds) {
    const Tiling tiling(examples, height, width);
    // Few tasks are shared out by inputs; each number is added up in the same order all the same.
    const Int parts = tasks < 4 ? inputs / Lanes<S>::count : 1, line = inputs / parts;
    const Int sum = place_size<S>(line, outputs), source = place_size<S>(TILES, line);
    const Int slope = place_size<S>(TILES, outputs), padded = examples * (height + 2) * (width + 2);
#pragma omp parallel
    {
        S* const sums = scratch<S>(16 * (sum + source + slope));
        S* const sources = sums + 16 * sum;
        S* const slopes = sources + 16 * source;
#pragma omp for schedule(static)
        for (Int unit = 0; unit < tasks * parts; ++unit) {
            const Int task = unit / parts, first = unit % parts * line;
            for (Int block = 0; block < tiling.blocks(); ++block) {
                const Int begin = tiling.begin(block), end = tiling.begin(block + 1);
                source_tiles(x + task * padded * inputs + first, tiling, inputs, line, begin, end, sources);
                slope_tiles(dy + task * padded * outputs, tiling, outputs, begin, end, slopes);
                for (int place = 0; place < 16; ++place)
                    places_product(sources + place * source, Int(1), line, slopes + place * slope, outputs, end - begin,
                                   sums + place * sum, line, block > 0);
            }
            give_filters(sums, line, outputs, inputs * outputs, dw + (task * 9 * inputs + first) * outputs, adds);
        }
    }
}

}  // namespace
