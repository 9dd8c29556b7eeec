// Where the normalised maps' cells come from and where their slopes go: both in memory; or, of the first block,
// whose convolution has few inputs, found anew at each look and added to the filters' slope at once. Its maps are
// the largest by far, and to read and write them takes longer than to compute them.

#pragma once

#include "lanes.h"

namespace {

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

// Maps [task][example][row][column][channel].
template <class S> struct Stored {
    const S* maps;
    Int examples, height, width, channels;

    struct Column {
        const S* from;
        Int example, row, channels;
        Vector<S> operator()(Int b, Int i, Int j) const { return load(from + b * example + i * row + j * channels); }
    };
    Column column(Int task, Int c) const {
        const Int row = width * channels, example = height * row;
        return {maps + task * examples * example + c, example, row, channels};
    }
};

// Padded maps of the same, to be written.
template <class S> struct PaddedSlopes {
    S* maps;
    Int examples, height, width, channels;

    struct Column {
        S* to;
        Int example, row, channels;
        void operator()(Int b, Int i, Int j, Vector<S> value) const {
            store(to + b * example + i * row + j * channels, value);
        }
        void example_done() const {}
    };
    Column column(Int task, Int c) const {
        const Int row = (width + 2) * channels, example = (height + 2) * row;
        S* const first = maps + task * examples * example + c;
        clear_border(first, examples, height, width, channels);
        return {first + row + channels, example, row, channels};
    }
};

struct FirstShape {  // of the convolution: padded x of height x width cells inside
    Int examples, height, width, outputs, stride;
};

// The taps of one output's cell, of I inputs each, in the order of the filters: work(number, value of x).
template <int I, class S, class Work> inline void each_tap(const S* corner, Int line, Work work) {
#pragma GCC unroll 3
    for (int di = 0; di < 3; ++di)
#pragma GCC unroll 9
        for (int n = 0; n < 3 * I; ++n) work(di * 3 * I + n, corner[di * line + n]);
}

// x convolved with w[task][tap][input][output].
template <class S, int I> struct Convolved {
    const S *x, *w;
    Int weight_task;
    FirstShape shape;

    struct Column {
        const S* from;
        Int example, row, column, line;
        Vector<S> weights[9 * I];
        Vector<S> operator()(Int b, Int i, Int j) const {
            Vector<S> sum{};
            each_tap<I>(from + b * example + i * row + j * column, line,
                        [&](int tap, S value) { sum += value * weights[tap]; });
            return sum;
        }
    };
    Column column(Int task, Int c) const {
        const Int line = (shape.width + 2) * I, example = (shape.height + 2) * line;
        Column made{x + task * shape.examples * example, example, shape.stride * line, shape.stride * I, line, {}};
        for (int tap = 0; tap < 9 * I; ++tap) made.weights[tap] = load(w + task * weight_task + tap * shape.outputs + c);
        return made;
    }
};

// The filters' slope dw[task][tap][input][output]; examples are added up one by one.
template <class S, int I> struct FilterSlopes {
    const S* x;
    S* dw;
    FirstShape shape;

    struct Column {
        const S* from;
        S* to;
        Int example, row, column, line, outputs;
        Vector<S> sum[9 * I];
        void operator()(Int b, Int i, Int j, Vector<S> slope) {
            each_tap<I>(from + b * example + i * row + j * column, line,
                        [&](int tap, S value) { sum[tap] += value * slope; });
        }
        void example_done() {
            for (int tap = 0; tap < 9 * I; ++tap) {
                store(to + tap * outputs, load(to + tap * outputs) + sum[tap]);
                sum[tap] = Vector<S>{};
            }
        }
    };
    Column column(Int task, Int c) const {
        const Int line = (shape.width + 2) * I, example = (shape.height + 2) * line;
        Column made{x + task * shape.examples * example, dw + task * 9 * I * shape.outputs + c, example,
                    shape.stride * line, shape.stride * I, line, shape.outputs, {}};
        for (int tap = 0; tap < 9 * I; ++tap) store(made.to + tap * shape.outputs, Vector<S>{});
        return made;
    }
};

}  // namespace
