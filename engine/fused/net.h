// A fully connected net on one batch: forward, backward, and how both change along a direction.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "asked.h"
#include "products.h"

namespace {

constexpr int MOST = 16;  // layers

struct Layer {
    Int inputs, outputs, wide, deep, line;  // wide, deep: outputs, inputs in whole vectors; line: of its source
    Int at, turned;                         // where it begins among the parameters, and among the turned weights
    Int size() const { return (inputs + 1) * wide; }
};

// to[o][i] = from[i][o], its rows filled up with zeros.
template <class S> void turn(const S* from, const Layer& layer, S* to) {
    constexpr int L = LANES<S>;
    for (Int i = 0; i < layer.deep; i += L)
        for (Int o = 0; o < layer.wide; o += L) {
            Vector<S> block[L];
            for (int n = 0; n < L; ++n)
                block[n] = i + n < layer.inputs ? load(from + (i + n) * layer.wide + o) : Vector<S>{};
            turn_block<S>(block);
            for (int n = 0; n < L && o + n < layer.outputs; ++n) store(to + (o + n) * layer.deep + i, block[n]);
        }
}

template <class S> struct Pass {
    Int examples;
    S* source[MOST + 1];  // of each layer, and what the last gives
    S* slope[MOST];       // of what each layer gives
};

template <class S> struct Net {
    Int count, numbers = 0, turned = 0, lowest;  // lowest: the first layer of which anything adapts
    Layer layers[MOST];

    explicit Net(const Asked& asked) : count(asked.layers), lowest(asked.layers) {
        for (Int l = 0; l < count; ++l) {
            const Int inputs = asked.sizes[l], outputs = asked.sizes[l + 1], wide = whole<S>(outputs);
            layers[l] = {inputs, outputs, wide, whole<S>(inputs), whole<S>(inputs + 1), numbers, turned};
            numbers += layers[l].size();
            turned += outputs * layers[l].deep;
            if ((asked.adapts[2 * l] || asked.adapts[2 * l + 1]) && lowest == count) lowest = l;
        }
    }

    Int size_as_given() const {
        Int size = 0;
        for (Int l = 0; l < count; ++l) size += (layers[l].inputs + 1) * layers[l].outputs;
        return size;
    }

    Int line(Int l) const { return l < count ? layers[l].line : layers[count - 1].wide; }

    // Room for a pass; its source is another's where one is given.
    S* place(Pass<S>& pass, Int examples, S* room, S* source) const {
        pass.examples = examples;
        for (Int l = 0; l <= count; ++l) {
            if (l == 0 && source) { pass.source[0] = source; continue; }
            pass.source[l] = room, room += examples * line(l);
        }
        for (Int l = 0; l < count; ++l) pass.slope[l] = room, room += examples * layers[l].wide;
        return room;
    }

    void read(const Pass<S>& pass, const S* x) const {
        const Layer& first = layers[0];
        for (Int b = 0; b < pass.examples; ++b) {
            S* to = pass.source[0] + b * first.line;
            std::memcpy(to, x + b * first.inputs, std::size_t(first.inputs) * sizeof(S));
            to[first.inputs] = 1;
        }
    }

    void turn_all(const S* parameters, S* to) const {
        for (Int l = 1; l < count; ++l) turn(parameters + layers[l].at, layers[l], to + layers[l].turned);
    }

    void forward(const S* parameters, const Pass<S>& pass) const {
        for (Int l = 0; l < count; ++l) {
            const Layer& layer = layers[l];
            S* out = pass.source[l + 1];
            product(pass.source[l], layer.line, Int(1), parameters + layer.at, layer.wide, layer.inputs + 1, out,
                    line(l + 1), pass.examples, layer.wide, false);
            if (l + 1 == count) return;
            pass_on(out, line(l + 1), out, line(l + 1), pass.examples, layer.wide);
            for (Int b = 0; b < pass.examples; ++b) out[b * line(l + 1) + layer.outputs] = 1;
        }
    }

    // The slope of layers `last` and up, added to what stands there or not.
    void backward(const S* turned_weights, const Pass<S>& pass, Int last, S* slope, bool adds) const {
        for (Int l = count - 1; l >= last; --l) {
            const Layer& layer = layers[l];
            product(pass.source[l], Int(1), layer.line, pass.slope[l], layer.wide, pass.examples, slope + layer.at,
                    layer.wide, layer.inputs + 1, layer.wide, adds);
            if (l == last) return;
            product(pass.slope[l], layer.wide, Int(1), turned_weights + layer.turned, layer.deep, layer.outputs,
                    pass.slope[l - 1], layer.deep, pass.examples, layer.deep, false);
            pass_on(pass.slope[l - 1], layer.deep, pass.source[l], layer.line, pass.examples, layer.deep);
        }
    }

    // How a pass changes along a direction, which moves layers `lowest` and up alone.
    void forward_along(const S* parameters, const S* direction, const Pass<S>& pass, const Pass<S>& change) const {
        for (Int l = lowest; l < count; ++l) {
            const Layer& layer = layers[l];
            S* out = change.source[l + 1];
            product(pass.source[l], layer.line, Int(1), direction + layer.at, layer.wide, layer.inputs + 1, out,
                    line(l + 1), pass.examples, layer.wide, false);
            if (l > lowest)
                product(change.source[l], layer.line, Int(1), parameters + layer.at, layer.wide, layer.inputs, out,
                        line(l + 1), pass.examples, layer.wide, true);
            if (l + 1 < count) pass_on(out, line(l + 1), pass.source[l + 1], line(l + 1), pass.examples, layer.wide);
        }
    }

    // Adds the change of the slope along the direction: the Hessian's product with it.
    void backward_along(const S* turned_weights, const S* turned_direction, const Pass<S>& pass,
                        const Pass<S>& change, S* slope) const {
        for (Int l = count - 1; l >= 0; --l) {
            const Layer& layer = layers[l];
            product(pass.source[l], Int(1), layer.line, change.slope[l], layer.wide, pass.examples, slope + layer.at,
                    layer.wide, layer.inputs + 1, layer.wide, true);
            if (l > lowest)
                product(change.source[l], Int(1), layer.line, pass.slope[l], layer.wide, pass.examples,
                        slope + layer.at, layer.wide, layer.inputs, layer.wide, true);
            if (l == 0) return;
            S* before = change.slope[l - 1];
            product(change.slope[l], layer.wide, Int(1), turned_weights + layer.turned, layer.deep, layer.outputs,
                    before, layer.deep, pass.examples, layer.deep, false);
            if (l >= lowest)
                product(pass.slope[l], layer.wide, Int(1), turned_direction + layer.turned, layer.deep, layer.outputs,
                        before, layer.deep, pass.examples, layer.deep, true);
            pass_on(before, layer.deep, pass.source[l], layer.line, pass.examples, layer.deep);
        }
    }

    // The loss of what the last layer gave, and its slope times `weight`.
    S loss(const Pass<S>& pass, const void* targets, bool classes, S scale, S weight) const {
        const Layer& last = layers[count - 1];
        S sum = 0;
        for (Int b = 0; b < pass.examples; ++b) {
            const S* out = pass.source[count] + b * last.wide;
            S* slope = pass.slope[count - 1] + b * last.wide;
            for (Int o = last.outputs; o < last.wide; ++o) slope[o] = 0;
            if (classes) {
                const std::int64_t label = static_cast<const std::int64_t*>(targets)[b];
                S most = out[0], whole_sum = 0;
                for (Int o = 1; o < last.outputs; ++o) most = out[o] > most ? out[o] : most;
                for (Int o = 0; o < last.outputs; ++o) whole_sum += slope[o] = std::exp(out[o] - most);
                sum += std::log(whole_sum) + most - out[label];
                for (Int o = 0; o < last.outputs; ++o)
                    slope[o] = (slope[o] / whole_sum - S(o == label)) * scale * weight;
                continue;
            }
            for (Int o = 0; o < last.outputs; ++o) {
                const S off = out[o] - static_cast<const S*>(targets)[b * last.outputs + o];
                sum += off * off;
                slope[o] = 2 * off * scale * weight;
            }
        }
        return sum * scale;
    }

    // The change of that slope (of weight 1) from the change of what the last layer gave.
    void loss_along(const Pass<S>& pass, const Pass<S>& change, const void* targets, bool classes, S scale) const {
        const Layer& last = layers[count - 1];
        for (Int b = 0; b < pass.examples; ++b) {
            const S *moved = change.source[count] + b * last.wide, *slope = pass.slope[count - 1] + b * last.wide;
            S* to = change.slope[count - 1] + b * last.wide;
            S mean = 0;
            for (Int o = 0; o < last.wide; ++o) to[o] = 2 * scale * moved[o];
            if (!classes) continue;
            const std::int64_t label = static_cast<const std::int64_t*>(targets)[b];
            for (Int o = 0; o < last.outputs; ++o) mean += (slope[o] / scale + S(o == label)) * moved[o];
            for (Int o = 0; o < last.outputs; ++o)
                to[o] = (slope[o] + scale * S(o == label)) * (moved[o] - mean);
        }
    }
};

}  // namespace
