// Whole vectors of numbers, as wide as the processor has them, and how many of them its registers hold.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {

typedef std::ptrdiff_t Int;

#if defined(__AVX512F__)
constexpr int BYTES = 64, ACCUMULATORS = 24;
#elif defined(__AVX__)
constexpr int BYTES = 32, ACCUMULATORS = 12;
#else
constexpr int BYTES = 16, ACCUMULATORS = 24;
#endif
constexpr int WIDEST = 4;  // vectors of output channels that a tile holds

template <class S> struct Lanes {
    static constexpr int count = BYTES / sizeof(S);
    typedef S Vector __attribute__((vector_size(BYTES), aligned(sizeof(S)), may_alias));
};
template <class S> using Vector = typename Lanes<S>::Vector;

template <class S> inline Vector<S> load(const S* from) { return *reinterpret_cast<const Vector<S>*>(from); }
template <class S> inline void store(S* to, Vector<S> value) { *reinterpret_cast<Vector<S>*>(to) = value; }

// Memory of this thread's own, which it keeps.
template <class S> S* scratch(Int count) {
    static thread_local void* kept = nullptr;
    static thread_local std::size_t size = 0;
    const std::size_t wanted = (std::size_t(count) * sizeof(S) + 4095) / 4096 * 4096;
    if (wanted > size) {
        std::free(kept);
        kept = std::aligned_alloc(4096, wanted);
        if (!kept) std::abort();
        size = wanted;
    }
    return static_cast<S*>(kept);
}

}  // namespace
