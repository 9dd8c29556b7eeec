// The blocks of conv4 for many tasks at once, each with weights of its own: 3x3 convolution, batch normalisation,
// ReLU, 2x2 max-pooling; forwards, backwards, and the derivative of both along a direction (Pearlmutter 1994).
//
// Maps are [task][example][row][column][channel]. "Padded" ones have a border of one zero cell on each side.
// Every number is computed by one thread in a fixed order: results do not depend on how many there are.

#include "lanes.h"
#include "winograd.h"
#include "convolution.h"
#include "normalisation.h"

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
