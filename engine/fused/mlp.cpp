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
#include <vector>

#include "crew.h"
#include "walk.h"

namespace {

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
