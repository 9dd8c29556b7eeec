// Batch normalisation, ReLU and 2x2 max-pooling in one; forwards, backwards, and the derivative of both along a
// direction (Pearlmutter 1994).

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <omp.h>

#include "lanes.h"

namespace {

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
