// Threads that help where they come in time. Unlike OpenMP's, one that the machine has no core for is not waited
// for: whoever is there takes its share, and a busy machine costs no more than the help.

#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace {

class Crew {
    typedef std::function<void(int)> Job;  // is given who works at it: 0 is the caller
    static constexpr int SPINS = 4000;     // some microseconds: what a helper has begun is short

    std::mutex guard;
    std::condition_variable called, done;
    const Job* job = nullptr;
    std::uint64_t number = 0;
    int wanted = 0, hired = 0;
    std::atomic<int> active{0};

    void help(int me) {
        std::uint64_t seen = 0;
        std::unique_lock<std::mutex> lock(guard);
        for (;;) {
            called.wait(lock, [&] { return job && number != seen && me < wanted; });
            seen = number;
            const Job* mine = job;
            ++active;
            lock.unlock();
            (*mine)(me);
            lock.lock();
            if (--active == 0) done.notify_one();
        }
    }

public:
    // Has a job done by the caller and up to `workers` - 1 helpers, each of whom ends when nothing is left of it.
    void run(int workers, const Job& given) {
        if (workers <= 1) return given(0);
        {
            std::lock_guard<std::mutex> lock(guard);
            for (; hired < workers - 1; ++hired) std::thread(&Crew::help, this, hired + 1).detach();
            job = &given, wanted = workers, ++number;
        }
        called.notify_all();
        given(0);
        {
            std::lock_guard<std::mutex> lock(guard);
            job = nullptr;
        }
        for (int n = 0; n < SPINS && active; ++n) {}
        std::unique_lock<std::mutex> lock(guard);
        done.wait(lock, [&] { return active == 0; });
    }

    // One for the process; it is never taken down, since its threads end with the process.
    static Crew& ours() {
        static Crew* const crew = new Crew;
        return *crew;
    }
};

}  // namespace
