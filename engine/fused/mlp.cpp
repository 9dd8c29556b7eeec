// Gradient descent of many tasks on a fully connected net, and the slope of their query losses back through it:
// each task's whole walk in one go (Finn 2017, equation 1; the Hessian's products by Pearlmutter 1994).
//
// A net's parameters lie packed: for each layer its inputs' rows of outputs, and a last row of biases (its source
// has a column of ones for them). Rows are filled up with zeros to whole vectors. What does not adapt has a rate of
// zero, so that one calculus holds for what tasks have made their own and for what they share.
// Tasks may be of several groups, each with parameters and rates of its own, and a mean slope of its own.
// A task is computed by one thread and a group's tasks are added up in order: results depend neither on how many
// threads there are nor on the other groups.

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "crew.h"
#include "products.h"

extern "C" {

struct Place {  // of a tensor: its address, how far tasks (or steps) lie apart, outputs, and inputs
    const void* data;
    Int far, output, input;
};

struct Asked {  // as mlp.py has it
    Int layers, tasks, shots, queries, steps, second_order, back, classes, threads, workspace;
    Int own_starts, rate_rows, rate_slopes;  // rate_slopes: 0 none, 1 of each tensor and step, 2 of each parameter
    Int groups;                              // of equally many tasks each
    double support_scale, query_scale;
    const Int* sizes;            // inputs of each layer, and the outputs of the last
    const Place* parameters;     // weight and bias of each layer, group by group
    const Place* rates;          // the same, without data for what does not adapt; none: `rate` is filled already
    const std::uint8_t* adapts;  // weight and bias of each layer: whether it adapts
    const std::uint8_t* owned;   // the same: whether each task has its own
    const double* weights;       // of the query losses after steps 1..k; of a walk without steps, its one
    const void *support_x, *support_y, *query_x, *query_y;
    void *start, *rate, *states, *slopes, *gradient, *rate_slope, *support_loss, *query_loss, *norms, *work;
};

struct Probed {  // losses and metrics of the states 0..k of each task, and squared lengths of each layer: what
                 // adapts of it at the start, and its way to the end
    void *support_loss, *query_loss, *metric, *squares;
};
}

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

// ---- A net on one batch --------------------------------------------------------------------------------------

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

// ---- The walk ------------------------------------------------------------------------------------------------

template <class S> void pack(const Net<S>& net, const Place* places, const std::uint8_t* which, Int at, S* to) {
    for (Int l = 0; l < net.count; ++l)
        for (Int part = 0; part < 2; ++part) {
            const Place& place = places[2 * l + part];
            if (which && !which[2 * l + part]) continue;
            const Layer& layer = net.layers[l];
            const S* from = static_cast<const S*>(place.data) + at * place.far;
            S* begin = to + layer.at + part * layer.inputs * layer.wide;
            const Int inputs = part ? 1 : layer.inputs;
            constexpr Int L = LANES<S>;
            Int done = 0;  // outputs that whole blocks have turned
            if (place.input == 1)
                for (; done + L <= layer.outputs && inputs >= L; done += L)
                    for (Int i = 0; i < inputs; i += L) {
                        // The last block begins where it ends with the row.
                        const Int here = i + L <= inputs ? i : inputs - L;
                        Vector<S> block[L];
                        for (int n = 0; n < L; ++n) block[n] = load(from + (done + n) * place.output + here);
                        turn_block<S>(block);
                        for (int n = 0; n < L; ++n) store(begin + (here + n) * layer.wide + done, block[n]);
                    }
            for (Int i = 0; i < inputs; ++i)
                for (Int o = done; o < layer.outputs; ++o)
                    begin[i * layer.wide + o] = from[o * place.output + i * place.input];
        }
}

template <class S> struct Walk {
    const Asked& asked;
    const Net<S> net;
    const Int kept;   // how many steps' passes are kept for the way back
    const Int share;  // tasks of a group

    explicit Walk(const Asked& asked)
        : asked(asked), net(asked), kept(asked.back && asked.steps ? asked.steps : 1),
          share(asked.tasks / asked.groups) {}

    struct Room {  // what a thread works on
        S *inputs, *passes, *turned, *turned_direction, *found, *direction, *end;
        Int pass_size;
        Pass<S> query, change;
    };

    Room room(S* begin) const {
        Room made;
        Pass<S> pass;
        made.inputs = begin;
        S* query = begin + asked.shots * net.line(0);
        made.passes = query + asked.queries * net.line(0);
        made.pass_size = net.place(pass, asked.shots, made.passes, begin) - made.passes;
        S* at = net.place(made.query, asked.queries, made.passes + kept * made.pass_size, query);
        at = net.place(made.change, asked.shots, at, begin);
        made.turned = at, at += (kept + 1) * net.turned;
        made.turned_direction = at, at += net.turned;
        made.found = at, at += kept * net.numbers;
        made.direction = at, made.end = at + net.numbers;
        return made;
    }

    Int size() const {
        S* const nowhere = reinterpret_cast<S*>(std::intptr_t(BYTES));
        return room(nowhere).end - nowhere;
    }

    Pass<S> support(const Room& room, Int step) const {
        Pass<S> pass;
        net.place(pass, asked.shots, room.passes + step % kept * room.pass_size, room.inputs);
        return pass;
    }

    S* turned(const Room& room, Int step) const { return room.turned + (asked.back ? step : 0) * net.turned; }
    S* found(const Room& room, Int step) const { return room.found + step % kept * net.numbers; }

    S* state(Int task, Int step) const {
        if (step == 0) return static_cast<S*>(asked.start) + (asked.own_starts ? task : task / share) * net.numbers;
        return static_cast<S*>(asked.states) + ((step - 1) * asked.tasks + task) * net.numbers;
    }

    const S* rates(Int task, Int step) const {
        const Int row = task / share * asked.rate_rows + (asked.rate_rows > 1 ? step : 0);
        return static_cast<const S*>(asked.rate) + row * net.numbers;
    }

    void prepare(Int group) const {
        const Int starts = asked.own_starts ? share : 1, first = 2 * net.count * group;
        S* start = static_cast<S*>(asked.start) + group * starts * net.numbers;
        std::memset(start, 0, std::size_t(starts * net.numbers) * sizeof(S));
        for (Int t = 0; t < starts; ++t) pack<S>(net, asked.parameters + first, nullptr, t, start + t * net.numbers);
        if (!asked.rates) return;
        S* rate = static_cast<S*>(asked.rate) + group * asked.rate_rows * net.numbers;
        std::memset(rate, 0, std::size_t(asked.rate_rows * net.numbers) * sizeof(S));
        for (Int row = 0; row < asked.rate_rows; ++row)
            pack<S>(net, asked.rates + first, asked.adapts, row, rate + row * net.numbers);
    }

    void step(Int task, Int number, const Room& room) const {
        const Pass<S> pass = support(room, number);
        const S *here = state(task, number), *rate = rates(task, number);
        S *there = state(task, number + 1), *slope = found(room, number);
        net.forward(here, pass);
        static_cast<S*>(asked.support_loss)[task * asked.steps + number] =
            net.loss(pass, targets(asked.support_y, asked.shots, task), asked.classes, S(asked.support_scale), S(1));
        net.turn_all(here, turned(room, number));
        net.backward(turned(room, number), pass, net.lowest, slope, false);
        const Int first = net.layers[net.lowest].at;
        std::memcpy(there, here, std::size_t(first) * sizeof(S));
        for (Int n = first; n < net.numbers; ++n) there[n] = here[n] - rate[n] * slope[n];
    }

    const void* targets(const void* all, Int examples, Int task) const {
        const Int last = net.layers[net.count - 1].outputs;
        if (asked.classes) return static_cast<const std::int64_t*>(all) + task * examples;
        return static_cast<const S*>(all) + task * examples * last;
    }

    S ask(Int task, const Room& room, S weight) const {
        return net.loss(room.query, targets(asked.query_y, asked.queries, task), asked.classes, S(asked.query_scale),
                        weight);
    }

    void walk(Int task, S* work) const {
        const Room mine = room(work);
        const Int steps = asked.steps, inputs = net.layers[0].inputs, last = steps ? steps - 1 : 0;
        net.read(support(mine, 0), static_cast<const S*>(asked.support_x) + task * asked.shots * inputs);
        net.read(mine.query, static_cast<const S*>(asked.query_x) + task * asked.queries * inputs);
        for (Int number = 0; number < steps; ++number) step(task, number, mine);
        S& query_loss = static_cast<S*>(asked.query_loss)[task];
        if (!asked.back) {
            net.forward(state(task, steps), mine.query);
            query_loss = ask(task, mine, S(1));
            return;
        }
        S* slope = static_cast<S*>(asked.slopes) + task * net.numbers;
        std::memset(slope, 0, std::size_t(net.numbers) * sizeof(S));
        net.turn_all(state(task, steps), turned(mine, steps));
        for (Int number = last; number >= 0; --number) {
            if (const S weight = S(asked.weights[number])) {
                const Int after = steps ? number + 1 : 0;
                net.forward(state(task, after), mine.query);
                const S found = ask(task, mine, weight);
                if (number == last) query_loss = found;
                net.backward(turned(mine, after), mine.query, 0, slope, true);
            }
            if (steps) back(task, number, mine, slope);
        }
    }

    // From the slope by the state after a step to that by the state before it.
    void back(Int task, Int number, const Room& room, S* slope) const {
        const S *rate = rates(task, number), *gradient = found(room, number);
        const Int first = net.layers[net.lowest].at;
        S square = 0;
        for (Int n = 0; n < 2 * net.count; ++n)
            if (asked.owned[n]) square += inner(slope + begin(n), slope + begin(n), length(n));
        static_cast<S*>(asked.norms)[task * asked.steps + number] = std::sqrt(square);
        S* rate_slope = static_cast<S*>(asked.rate_slope);
        if (asked.rate_slopes == 1)
            for (Int n = 0; n < 2 * net.count; ++n)
                rate_slope[(task * asked.steps + number) * 2 * net.count + n] =
                    asked.adapts[n] ? -inner(slope + begin(n), gradient + begin(n), length(n)) : 0;
        if (asked.rate_slopes == 2)
            for (Int n = first; n < net.numbers; ++n) rate_slope[task * net.numbers + n] -= slope[n] * gradient[n];
        if (!asked.second_order) return;
        for (Int n = first; n < net.numbers; ++n) room.direction[n] = -rate[n] * slope[n];
        for (Int l = net.lowest > 1 ? net.lowest : 1; l < net.count; ++l)
            turn(room.direction + net.layers[l].at, net.layers[l], room.turned_direction + net.layers[l].turned);
        const Pass<S> pass = support(room, number);
        net.forward_along(state(task, number), room.direction, pass, room.change);
        net.loss_along(pass, room.change, targets(asked.support_y, asked.shots, task), asked.classes,
                       S(asked.support_scale));
        net.backward_along(turned(room, number), room.turned_direction, pass, room.change, slope);
    }

    // Weight and bias of each layer, one after the other, among the packed.
    Int begin(Int n) const {
        const Layer& layer = net.layers[n / 2];
        return layer.at + n % 2 * layer.inputs * layer.wide;
    }
    Int length(Int n) const { return (n % 2 ? 1 : net.layers[n / 2].inputs) * net.layers[n / 2].wide; }

    // The mean over a group's tasks, each tensor as PyTorch has it, one after the other.
    void gather(Int group, S* total) const {
        const S* slopes = static_cast<const S*>(asked.slopes) + group * share * net.numbers;
        S *to = static_cast<S*>(asked.gradient) + group * net.size_as_given(), part = S(1) / S(share);
        std::memcpy(total, slopes, std::size_t(net.numbers) * sizeof(S));
        for (Int t = 1; t < share; ++t)
            for (Int n = 0; n < net.numbers; ++n) total[n] += slopes[t * net.numbers + n];
        for (Int n = 0; n < 2 * net.count; ++n) {
            const Layer& layer = net.layers[n / 2];
            const Int inputs = n % 2 ? 1 : layer.inputs;
            for (Int o = 0; o < layer.outputs; ++o)
                for (Int i = 0; i < inputs; ++i) *to++ = total[begin(n) + i * layer.wide + o] * part;
        }
    }

    // Of outputs, what the field reports: accuracy, where an output that is not finite is a wrong answer.
    S right(Int task, const Room& room) const {
        const Layer& last = net.layers[net.count - 1];
        const auto* labels = static_cast<const std::int64_t*>(targets(asked.query_y, asked.queries, task));
        Int count = 0;
        for (Int b = 0; b < asked.queries; ++b) {
            const S* out = room.query.source[net.count] + b * last.wide;
            bool is_right = true;
            for (Int o = 0; o < last.outputs; ++o) {
                const bool beaten = out[o] < out[labels[b]] || (out[o] == out[labels[b]] && o >= labels[b]);
                is_right = is_right && beaten && std::isfinite(out[o]);
            }
            count += is_right;
        }
        return S(count) / S(asked.queries);
    }

    void probe(Int task, const Probed& to, S* work) const {
        const Room mine = room(work);
        const Int inputs = net.layers[0].inputs;
        const Pass<S> support = this->support(mine, 0);
        net.read(support, static_cast<const S*>(asked.support_x) + task * asked.shots * inputs);
        net.read(mine.query, static_cast<const S*>(asked.query_x) + task * asked.queries * inputs);
        for (Int number = 0; number <= asked.steps; ++number) {
            const Int place = task * (asked.steps + 1) + number;
            net.forward(state(task, number), support);
            static_cast<S*>(to.support_loss)[place] = net.loss(
                support, targets(asked.support_y, asked.shots, task), asked.classes, S(asked.support_scale), S(1));
            net.forward(state(task, number), mine.query);
            const S loss = ask(task, mine, S(1));
            static_cast<S*>(to.query_loss)[place] = loss;
            static_cast<S*>(to.metric)[place] = asked.classes ? right(task, mine) : loss;
        }
        const S *first = state(task, 0), *end = state(task, asked.steps);
        S* squares = static_cast<S*>(to.squares) + task * net.count * 2;
        std::memset(squares, 0, std::size_t(net.count) * 2 * sizeof(S));
        S* way = mine.direction;
        for (Int n = 0; n < net.numbers; ++n) way[n] = end[n] - first[n];
        for (Int n = 0; n < 2 * net.count; ++n) {
            if (!asked.adapts[n]) continue;
            squares[n / 2 * 2] += inner(first + begin(n), first + begin(n), length(n));
            squares[n / 2 * 2 + 1] += inner(way + begin(n), way + begin(n), length(n));
        }
    }

    void probe_all(const Probed& to) const {
        for (Int group = 0; group < asked.groups; ++group) prepare(group);
        for (Int task = 0; task < asked.tasks; ++task) probe(task, to, static_cast<S*>(asked.work));
    }
};

// A walk under way: helpers are at it from the beginning, and whoever asked for it when it finishes it.
template <class S> class Going {
    const Asked asked;
    const Walk<S> walk;
    std::vector<std::atomic<Int>> left;  // tasks of each group
    Shares tasks;
    Crew::Call call;

    void work(int me) {
        S* mine = static_cast<S*>(asked.work) + me * asked.workspace;
        for (Int task; (task = tasks.next(me)) >= 0;) {
            walk.walk(task, mine);
            // Whoever is done with a group's last task adds the group up.
            const Int group = task / walk.share;
            if (--left[std::size_t(group)] == 0 && asked.back) walk.gather(group, mine);
        }
    }

public:
    explicit Going(const Asked& given)
        : asked(given), walk(asked), left(std::size_t(asked.groups)), tasks(asked.tasks, int(asked.threads)),
          call{[this](int me) { work(me); }, int(asked.threads)} {
        for (auto& each : left) each = walk.share;
        for (Int group = 0; group < asked.groups; ++group) walk.prepare(group);
        Crew::ours().begin(call);
    }

    void finish() { Crew::ours().finish(call); }
};

}  // namespace

#if BITS == 64
typedef double Number;
#else
typedef float Number;
#endif

extern "C" {
void mlp_walk(const Asked* asked) { Going<Number>(*asked).finish(); }
void* mlp_begin(const Asked* asked) { return new Going<Number>(*asked); }
void mlp_finish(void* going) {
    static_cast<Going<Number>*>(going)->finish();
    delete static_cast<Going<Number>*>(going);
}
void mlp_probe(const Asked* asked, const Probed* to) { Walk<Number>(*asked).probe_all(*to); }
Int mlp_room(const Asked* asked) { return Walk<Number>(*asked).size(); }
Int mlp_lanes() { return LANES<Number>; }
}
