// What the kernels for fully connected nets are asked, as desk.py has it.

#pragma once

#include <cstdint>

#include "products.h"

extern "C" {

struct Place {  // of a tensor: its address, how far tasks (or steps) lie apart, outputs, and inputs
    const void* data;
    Int far, output, input;
};

struct Asked {
    Int layers, tasks, shots, queries, steps, second_order, back, classes, threads, workspace;
    Int own_starts, rate_rows, rate_slopes;  // rate_slopes: 0 none, 1 of each tensor and step, 2 of each parameter
    Int groups;                              // of equally many tasks each
    double support_scale, query_scale;
    const Int* sizes;            // inputs of each layer, and the outputs of the last
    const Place* parameters;     // weight and bias of each layer, group by group
    const Place* rates;          // the same, without data for what does not adapt; none: `rate` is filled already
    const std::uint8_t* adapts;  // weight and bias of each layer: whether it adapts
    const std::uint8_t* owned;   // the same: whether each task has its own
    double* told;                // of each group with a way back: its slope's norm and its mean query loss
    const double* weights;       // of the query losses after steps 1..k; of a walk without steps, its one
    const void *support_x, *support_y, *query_x, *query_y;
    void *start, *rate, *states, *slopes, *gradient, *rate_slope, *support_loss, *query_loss, *norms, *work;
};

struct Probed {  // of each task: the support loss of its last state, query losses and metrics of the states 0..k, and
                 // squared lengths of each layer: of what adapts of it at the start, and of its way to the end
    void *support_loss, *query_loss, *metric, *squares;
};
}
