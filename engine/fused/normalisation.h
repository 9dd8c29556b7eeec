// Batch normalisation, ReLU and 2x2 max-pooling in one; forwards, backwards, and the derivative of both along a
// direction (Pearlmutter 1994). What is normalised is a `Source`, and the slope of it goes to a `Sink` (cells.h).

#pragma once

#include <cmath>
#include <cstdint>
#include <omp.h>

#include "cells.h"
#include "lanes.h"

namespace {

constexpr std::uint8_t DEAD = 255;  // what no gradient passes: ReLU's zero

// `W` is the pooling's window: 2, or 1 without pooling.
template <int W> struct Shape {
    Int tasks, examples, height, width, channels;
    Int pooled_height() const { return height / W; }
    Int pooled_width() const { return width / W; }
    Int pixels() const { return examples * height * width; }
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

// Goes over the windows of a task's column: work(example, first row and column of x, cell of the pooled map, the same
// in the padded one).
template <int W, class Work> inline void each_window(const Shape<W>& shape, Int task, Int c, Work work) {
    const Int C = shape.channels, height = shape.pooled_height(), width = shape.pooled_width();
    for (Int b = 0; b < shape.examples; ++b)
        for (Int i = 0; i < height; ++i) {
            Int cell = ((task * shape.examples + b) * height + i) * width * C + c;
            Int padded = (((task * shape.examples + b) * (height + 2) + i + 1) * (width + 2) + 1) * C + c;
            for (Int j = 0; j < width; ++j, cell += C, padded += C) work(b, i * W, j * W, cell, padded);
        }
}

// Gives each cell of a task's column its slope: work(value of each source there ..., what of the slopes reaches it).
template <class S, int W, class Sink, class Work>
inline void each_cell(const Shape<W>& shape, Sink to, const std::uint8_t* chosen, Int task, Int c, Work work) {
    const Int C = shape.channels, height = shape.pooled_height(), width = shape.pooled_width();
    const auto nothing = [](const S*) { return Vector<S>{}; };
    for (Int b = 0; b < shape.examples; ++b) {
        Int cell = (task * shape.examples + b) * height * width * C + c;
        for (Int i = 0; i < height * W; i += W)
            for (Int j = 0; j < width * W; j += W, cell += C) {
                Choice<S> choice;
                choice.read(chosen + cell);
#pragma GCC unroll 4
                for (int k = 0; k < W * W; ++k)
                    to(b, i + k / W, j + k % W, work(b, i + k / W, j + k % W, [&](const S* slopes) {
                           return choice.of(k, load(slopes + cell));
                       }));
            }
        // Beyond the last whole window.
        for (Int i = 0; i < shape.height; ++i)
            for (Int j = i < height * W ? width * W : 0; j < shape.width; ++j) to(b, i, j, work(b, i, j, nothing));
        to.example_done();
    }
}

// Mean and biased variance of a column, row by row, put together as in Chan, Golub and LeVeque (1979).
template <class S, int W, class Column>
inline void moments(const Column& value, const Shape<W>& shape, Vector<S>& middle, Vector<S>& spread) {
    constexpr int L = Lanes<S>::count;
    S* const row = scratch<S>(shape.width * L);
    middle = spread = Vector<S>{};
    Int seen = 0;
    for (Int b = 0; b < shape.examples; ++b)
        for (Int i = 0; i < shape.height; ++i, seen += shape.width) {
            Vector<S> total{}, squares{};
            for (Int j = 0; j < shape.width; ++j) {
                const Vector<S> here = value(b, i, j);
                store(row + j * L, here);
                total += here;
            }
            const Vector<S> own = total / S(shape.width), apart = own - middle;
            for (Int j = 0; j < shape.width; ++j) {
                const Vector<S> off = load(row + j * L) - own;
                squares += off * off;
            }
            const S share = S(shape.width) / S(seen + shape.width);
            middle += apart * share;
            spread += squares + apart * apart * (S(seen) * share);
        }
    spread /= S(shape.pixels());
}

// Statistics of each task's channels over all its cells, then scale, shift, ReLU and pooling. `normal` is the
// normalised value of the cell that goes on from each window.
template <class S, int W, class Source>
void norm_forward(const Source& x, const S* scale, const S* shift, Int norm_task, S* out, std::uint8_t* chosen,
                  S* normal, S* mean, S* root, S* variance, S epsilon, const Shape<W> shape) {
    constexpr int L = Lanes<S>::count;
    typedef Vector<S> V;
    const Int C = shape.channels, height = shape.pooled_height(), width = shape.pooled_width();
    each_column<S>(shape, [&](Int task, Int c) {
        const auto value = x.column(task, c);
        clear_border(out + task * shape.examples * (height + 2) * (width + 2) * C + c, shape.examples, height, width, C);
        V middle, spread, inverse;
        moments<S>(value, shape, middle, spread);
        for (int l = 0; l < L; ++l) inverse[l] = S(1) / std::sqrt(spread[l] + epsilon);
        store(mean + task * C + c, middle);
        store(variance + task * C + c, spread);
        store(root + task * C + c, inverse);
        const V gain = inverse * load(scale + task * norm_task + c);
        const V base = load(shift + task * norm_task + c) - middle * gain;
        each_window(shape, task, c, [&](Int b, Int i, Int j, Int cell, Int padded) {
            V picked = value(b, i, j), best = picked * gain + base;
            Choice<S> choice{};
#pragma GCC unroll 4
            for (int k = 1; k < W * W; ++k) {
                const V here = value(b, i + k / W, j + k % W), other = here * gain + base;
                const auto better = other > best;
                best = better ? other : best;
                picked = better ? here : picked;
                choice.numbers = better ? choice.numbers * 0 + k : choice.numbers;
            }
            // What is not a number goes on, as through every other ReLU.
            const auto alive = ~(best <= S(0));
            store(out + padded, alive ? best : V{});
            store(normal + cell, (picked - middle) * inverse);
            choice.numbers = alive ? choice.numbers : choice.numbers * 0 + int(DEAD);
            choice.write(chosen + cell);
        });
    });
}

// From the slopes of what went out: those of scale and shift, and that of x.
template <class S, int W, class Source, class Sink>
void norm_backward(const Source& x, const S* scale, Int norm_task, const std::uint8_t* chosen, const S* normal,
                   const S* mean, const S* root, const S* slope, const Sink& to, S* of_scale, S* of_shift,
                   const Shape<W> shape) {
    typedef Vector<S> V;
    const Int C = shape.channels;
    each_column<S>(shape, [&](Int task, Int c) {
        const Int channel = task * C + c;
        const auto value = x.column(task, c);
        const V middle = load(mean + channel), inverse = load(root + channel);
        V sum = {}, along = {};
        each_window(shape, task, c, [&](Int, Int, Int, Int cell, Int) {
            Choice<S> choice;
            choice.read(chosen + cell);
            const V passed = choice.alive(load(slope + cell));
            sum += passed;
            along += passed * load(normal + cell);
        });
        store(of_shift + channel, sum);
        store(of_scale + channel, along);
        const V gain = inverse * load(scale + task * norm_task + c);
        const V mean_sum = sum / S(shape.pixels()), mean_along = along / S(shape.pixels());
        each_cell<S>(shape, to.column(task, c), chosen, task, c, [&](Int b, Int i, Int j, auto reaching) {
            return gain * (reaching(slope) - mean_sum - (value(b, i, j) - middle) * inverse * mean_along);
        });
    });
}

// Along a direction (dx, dscale, dshift; none where null): the change of what goes out (padded), and what the way
// back needs: the change of `normal`, the mean of dx, and that of dx times the normalised x.
template <class S, int W, class Source>
void norm_tangent(const Source& x, const Source& dx, const S* scale, Int norm_task, const S* dscale, const S* dshift,
                  const std::uint8_t* chosen, const S* normal, const S* mean, const S* root, S* out, S* turned,
                  S* dmean, S* dalong, const Shape<W> shape) {
    typedef Vector<S> V;
    const Int C = shape.channels, height = shape.pooled_height(), width = shape.pooled_width();
    each_column<S>(shape, [&](Int task, Int c) {
        const Int channel = task * C + c;
        const auto value = x.column(task, c), change = dx.column(task, c);
        const V middle = load(mean + channel), inverse = load(root + channel);
        clear_border(out + task * shape.examples * (height + 2) * (width + 2) * C + c, shape.examples, height, width, C);
        V sum = {}, along = {};
        for (Int b = 0; b < shape.examples; ++b)
            for (Int i = 0; i < shape.height; ++i) {
                V part = {}, weighed = {};
                for (Int j = 0; j < shape.width; ++j) {
                    const V here = change(b, i, j);
                    part += here;
                    weighed += here * (value(b, i, j) - middle);
                }
                sum += part;
                along += weighed;
            }
        const V drift = sum / S(shape.pixels()), lean = along * inverse / S(shape.pixels());
        store(dmean + channel, drift);
        store(dalong + channel, lean);
        const V gain = load(scale + task * norm_task + c);
        const V more = dscale ? load(dscale + channel) : V{}, up = dshift ? load(dshift + channel) : V{};
        each_window(shape, task, c, [&](Int b, Int i, Int j, Int cell, Int padded) {
            Choice<S> choice;
            choice.read(chosen + cell);
            V there = choice.of(0, change(b, i, j));
#pragma GCC unroll 4
            for (int k = 1; k < W * W; ++k) there += choice.of(k, change(b, i + k / W, j + k % W));
            const V before = load(normal + cell), after = inverse * (there - drift - before * lean);
            store(turned + cell, after);
            store(out + padded, choice.alive(more * before + gain * after + up));
        });
    });
}

// The change along a direction of what `norm_backward` gives; `of_scale` and `of_shift` are what that gave.
template <class S, int W, class Source, class Sink>
void norm_tangent_backward(const Source& x, const Source& dx, const S* scale, Int norm_task, const S* dscale,
                           const std::uint8_t* chosen, const S* normal, const S* turned, const S* mean, const S* root,
                           const S* dmean, const S* dalong, const S* slope, const S* dslope, const S* of_scale,
                           const S* of_shift, const Sink& to, S* change_of_scale, S* change_of_shift,
                           const Shape<W> shape) {
    typedef Vector<S> V;
    const Int C = shape.channels;
    each_column<S>(shape, [&](Int task, Int c) {
        const Int channel = task * C + c;
        const auto value = x.column(task, c), change = dx.column(task, c);
        const V middle = load(mean + channel), inverse = load(root + channel);
        const V drift = load(dmean + channel), lean = load(dalong + channel);
        V sum = {}, along = {};
        each_window(shape, task, c, [&](Int, Int, Int, Int cell, Int) {
            Choice<S> choice;
            choice.read(chosen + cell);
            const V moved = load(dslope + cell);
            sum += choice.alive(moved);
            along += choice.alive(moved * load(normal + cell) + load(slope + cell) * load(turned + cell));
        });
        store(change_of_shift + channel, sum);
        store(change_of_scale + channel, along);
        const S count = S(shape.pixels());
        const V weight = load(scale + task * norm_task + c), more = dscale ? load(dscale + channel) : V{};
        const V gain = weight * inverse, dgain = more * inverse - gain * inverse * lean;
        const V mean_sum = load(of_shift + channel) / count, mean_along = load(of_scale + channel) / count;
        const V dmean_sum = sum / count, dmean_along = along / count;
        each_cell<S>(shape, to.column(task, c), chosen, task, c, [&](Int b, Int i, Int j, auto reaching) {
            const V before = (value(b, i, j) - middle) * inverse;
            const V after = inverse * (change(b, i, j) - drift - before * lean);
            return dgain * (reaching(slope) - mean_sum - before * mean_along) +
                   gain * (reaching(dslope) - dmean_sum - after * mean_along - before * dmean_along);
        });
    });
}

}  // namespace
