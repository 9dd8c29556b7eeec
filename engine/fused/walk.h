// A task's whole walk: its steps, the way back through them, and what its states are worth.

#pragma once

#include "net.h"

namespace {

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
        double square = 0, loss = 0;
        for (Int n = 0; n < 2 * net.count; ++n)
            square += double(inner(total + begin(n), total + begin(n), length(n))) * part * part;
        for (Int t = 0; t < share; ++t) loss += static_cast<const S*>(asked.query_loss)[group * share + t];
        asked.told[2 * group] = std::sqrt(square), asked.told[2 * group + 1] = loss / double(share);
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
        net.forward(state(task, asked.steps), support);
        static_cast<S*>(to.support_loss)[task] = net.loss(
            support, targets(asked.support_y, asked.shots, task), asked.classes, S(asked.support_scale), S(1));
        for (Int number = 0; number <= asked.steps; ++number) {
            const Int place = task * (asked.steps + 1) + number;
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

}  // namespace
