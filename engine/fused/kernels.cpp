// The blocks of conv4 for many tasks at once, each with weights of its own: 3x3 convolution, batch normalisation,
// ReLU, 2x2 max-pooling; forwards, backwards, and the derivative of both along a direction (Pearlmutter 1994).
//
// Maps are [task][example][row][column][channel]. "Padded" ones have a border of one zero cell on each side.
// Every number is computed by one thread in a fixed order: results do not depend on how many there are.

#include "lanes.h"
#include "winograd.h"
#include "convolution.h"
#include "cells.h"
#include "normalisation.h"

#if BITS == 64
typedef double Number;
#else
typedef float Number;
#endif

namespace {

// What is exported takes its sizes as an array: tasks, examples, height and width of maps; of a convolution inputs,
// outputs, stride; of a normalisation channels, window and, where it goes with the first convolution, that one's
// inputs (else 0), the height and width of its source, and stride.

template <class S> Stored<S> stored(const S* maps, const Int* size) {
    return {maps, size[1], size[2], size[3], size[4]};
}

FirstShape first(const Int* size) { return {size[1], size[7], size[8], size[4], size[9]}; }

template <class S, int I> struct Cells {  // of the first block, with I inputs
    static Convolved<S, I> source(const S* x, const S* w, Int step, const Int* size) { return {x, w, step, first(size)}; }
    static FilterSlopes<S, I> sink(const S* x, S* to, const Int* size) { return {x, to, first(size)}; }
};
template <class S> struct Cells<S, 0> {  // of the others
    static Stored<S> source(const S* x, const S*, Int, const Int* size) { return stored(x, size); }
    static PaddedSlopes<S> sink(const S*, S* to, const Int* size) { return {to, size[1], size[2], size[3], size[4]}; }
};

// work(shape, where its cells are).
template <class S, int W, class Work> void by_inputs(const Int* size, Work work) {
    const Shape<W> shape{size[0], size[1], size[2], size[3], size[4]};
    if (size[6] == 0) work(shape, Cells<S, 0>());
    if (size[6] == 1) work(shape, Cells<S, 1>());
    if (size[6] == 3) work(shape, Cells<S, 3>());
}
template <class S, class Work> void by_size(const Int* size, Work work) {
    if (size[5] == 2)
        by_inputs<S, 2>(size, work);
    else
        by_inputs<S, 1>(size, work);
}

}  // namespace

#define SIZES size[0], size[1], size[2], size[3], size[4], size[5], size[6]

extern "C" {

void convolve(const Number* x, const Number* w, Number* y, Int step, Int adds, const Int* size) {
    convolve<Number>(x, w, y, SIZES, step, adds);
}
void convolve_back(const Number* dy, const Number* v, Number* dx, Int step, Int adds, const Int* size) {
    convolve_back<Number>(dy, v, dx, SIZES, step, adds);
}
void convolve_filters(const Number* x, const Number* dy, Number* dw, Int adds, const Int* size) {
    convolve_filters<Number>(x, dy, dw, SIZES, adds);
}
void transpose(const Number* w, Number* v, const Int* size) { transpose<Number>(w, v, size[0], size[1], size[2]); }
void norm_forward(const Number* x, const Number* w, Int w_step, const Number* scale, const Number* shift, Int step, Number* out,
                         std::uint8_t* chosen, Number* normal, Number* mean, Number* root, Number* variance, double epsilon,
                         const Int* size) {
    by_size<Number>(size, [&](auto shape, auto cells) {
        norm_forward<Number>(cells.source(x, w, w_step, size), scale, shift, step, out, chosen, normal, mean, root,
                        variance, Number(epsilon), shape);
    });
}
void norm_backward(const Number* x, const Number* w, Int w_step, const Number* scale, Int step,
                          const std::uint8_t* chosen, const Number* normal, const Number* mean, const Number* root,
                          const Number* slope, Number* to, Number* of_scale, Number* of_shift, const Int* size) {
    by_size<Number>(size, [&](auto shape, auto cells) {
        norm_backward<Number>(cells.source(x, w, w_step, size), scale, step, chosen, normal, mean, root, slope,
                         cells.sink(x, to, size), of_scale, of_shift, shape);
    });
}
void norm_tangent(const Number* x, const Number* w, Int w_step, const Number* dx, const Number* dw, Int dw_step,
                         const Number* scale, Int step, const Number* dscale, const Number* dshift, const std::uint8_t* chosen,
                         const Number* normal, const Number* mean, const Number* root, Number* out, Number* turned, Number* dmean, Number* dalong,
                         const Int* size) {
    by_size<Number>(size, [&](auto shape, auto cells) {
        norm_tangent<Number>(cells.source(x, w, w_step, size), cells.source(dx, dw, dw_step, size), scale, step,
                        dscale, dshift, chosen, normal, mean, root, out, turned, dmean, dalong, shape);
    });
}
void norm_tangent_backward(const Number* x, const Number* w, Int w_step, const Number* dx, const Number* dw, Int dw_step,
                                  const Number* scale, Int step, const Number* dscale, const std::uint8_t* chosen,
                                  const Number* normal, const Number* turned, const Number* mean, const Number* root,
                                  const Number* dmean, const Number* dalong, const Number* slope, const Number* dslope,
                                  const Number* of_scale, const Number* of_shift, Number* to, Number* change_of_scale,
                                  Number* change_of_shift, const Int* size) {
    by_size<Number>(size, [&](auto shape, auto cells) {
        norm_tangent_backward<Number>(cells.source(x, w, w_step, size), cells.source(dx, dw, dw_step, size), scale,
                                 step, dscale, chosen, normal, turned, mean, root, dmean, dalong, slope, dslope,
                                 of_scale, of_shift, cells.sink(x, to, size), change_of_scale, change_of_shift,
                                 shape);
    });
}
Int lanes() { return Lanes<Number>::count; }

}
