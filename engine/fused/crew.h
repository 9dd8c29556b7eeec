// Threads that help where they come in time. Unlike OpenMP's, one that the machine has no core for is not waited
// for: whoever is there takes its share, and a busy machine costs no more than the help.

#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace {

class Crew {
    typedef std::chrono::steady_clock Clock;
    // How long a helper stays awake for the next call: waking one takes as long as a small call does. Meanwhile it
    // yields its core to whoever wants it.
    static constexpr std::chrono::microseconds AWAKE{200};

public:
    struct Call {
        std::function<void(int)> work;  // is given who works at it: 0 is whoever finishes it
        int workers;
        std::atomic<int> helping{0};
    };

    // Helpers begin with a call, up to `workers` - 1 of them. Where the next begins before it is finished, those
    // who have not come to it yet go to that one.
    void begin(Call& call) {
        if (call.workers <= 1) return;
        {
            std::lock_guard<std::mutex> lock(guard);
            try {
                for (; hired < call.workers - 1; ++hired) std::thread(&Crew::help, this, hired + 1).detach();
            } catch (const std::system_error&) {
                // The system has no more threads: those hired help, and the caller does the rest.
            }
            now = &call, ++number;
        }
        called.notify_all();
    }

    // Does what is left of a call, and waits for those who help with it, each of whom ends when nothing is left.
    void finish(Call& call) {
        call.work(0);
        if (call.workers <= 1) return;
        {
            std::lock_guard<std::mutex> lock(guard);
            if (now == &call) now = nullptr;
        }
        waits([&] { return call.helping == 0; });
        std::unique_lock<std::mutex> lock(guard);
        done.wait(lock, [&] { return call.helping == 0; });
    }

private:
    std::mutex guard;
    std::condition_variable called, done;
    Call* now = nullptr;
    std::atomic<std::uint64_t> number{0};  // of calls so far
    int hired = 0;

    void help(int me) {
        std::uint64_t seen = 0;
        std::unique_lock<std::mutex> lock(guard);
        for (;;) {
            called.wait(lock, [&] { return now && number != seen && me < now->workers; });
            seen = number;
            Call* call = now;
            ++call->helping;
            lock.unlock();
            call->work(me);
            lock.lock();
            if (--call->helping == 0) done.notify_all();
            lock.unlock();
            waits([&] { return number != seen; });
            lock.lock();
        }
    }

    // Waits for a while, with a look as often as the machine lets it.
    template <class Happened> static void waits(const Happened& happened) {
        const Clock::time_point end = Clock::now() + AWAKE;
        while (!happened() && Clock::now() < end) std::this_thread::yield();
    }

public:
    // One for the process; it is never taken down, since its threads end with the process.
    static Crew& ours() {
        static Crew* const crew = new Crew;
        return *crew;
    }
};

// Work dealt out to threads. Each has a share of its own, the same every time, so that what it wrote last time is
// still near to it; then it takes what the others have not come to.
class Shares {
    struct alignas(64) Share {
        std::atomic<std::ptrdiff_t> next;
        std::ptrdiff_t end;
    };
    std::vector<Share> shares;

public:
    Shares(std::ptrdiff_t count, int workers) : shares(std::size_t(workers)) {
        for (int n = 0; n < workers; ++n) {
            shares[std::size_t(n)].next = count * n / workers;
            shares[std::size_t(n)].end = count * (n + 1) / workers;
        }
    }

    // The next piece of work for a thread; -1 where nothing is left.
    std::ptrdiff_t next(int me) {
        for (std::size_t n = 0; n < shares.size(); ++n) {
            Share& share = shares[(std::size_t(me) + n) % shares.size()];
            const std::ptrdiff_t piece = share.next++;
            if (piece < share.end) return piece;
        }
        return -1;
    }
};

}  // namespace
