// Products of small matrices in whole vectors, and what else nets do with rows of them.

#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace {

typedef std::ptrdiff_t Int;

#if defined(__AVX__)
constexpr int BYTES = 32;
#else
constexpr int BYTES = 16;
#endif
#if defined(__AVX512VL__) || defined(__aarch64__)
constexpr int ROWS = 5, MORE_ROWS = 10;  // of a tile: as many as 32 registers hold
#else
constexpr int ROWS = 2, MORE_ROWS = 5;
#endif

template <class S> constexpr int LANES = BYTES / int(sizeof(S));
template <class S> struct Lanes { typedef S Vector __attribute__((vector_size(BYTES), aligned(sizeof(S)), may_alias)); };
template <class S> using Vector = typename Lanes<S>::Vector;
template <class S> inline Vector<S> load(const S* from) { return *reinterpret_cast<const Vector<S>*>(from); }
template <class S> inline void store(S* to, Vector<S> value) { *reinterpret_cast<Vector<S>*>(to) = value; }
template <class S> inline Int whole(Int size) { return (size + LANES<S> - 1) / LANES<S> * LANES<S>; }

// c[m][n] (+)= sum of a[m * row + k * step] * b[k][n] over k.
template <class S, int R, int V>
inline void tile(const S* a, Int row, Int step, const S* b, Int b_line, Int depth, S* c, Int c_line, bool adds) {
    constexpr int L = LANES<S>;
    Vector<S> sum[R][V];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sum[r][v] = adds ? load(c + r * c_line + v * L) : Vector<S>{};
    for (Int k = 0; k < depth; ++k, a += step, b += b_line) {
        Vector<S> from[V];
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) from[v] = load(b + v * L);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            const S value = a[r * row];
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) sum[r][v] += value * from[v];
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) store(c + r * c_line + v * L, sum[r][v]);
}

template <class S, int V>
void strip(const S* a, Int row, Int step, const S* b, Int b_line, Int depth, S* c, Int c_line, Int rows, bool adds) {
    constexpr int R = V <= 2 ? MORE_ROWS : ROWS;
    Int m = 0;
#define TILE(N) tile<S, N, V>(a + m * row, row, step, b, b_line, depth, c + m * c_line, c_line, adds)
    for (; m + R <= rows; m += R) TILE(R);
    for (; m < rows; ++m) TILE(1);
#undef TILE
}

// `columns` are whole vectors. One copy of it: written out at every call it would take a minute to compile.
template <class S>
__attribute__((noinline)) void product(const S* a, Int row, Int step, const S* b, Int b_line, Int depth, S* c, Int c_line, Int rows, Int columns,
             bool adds) {
    for (Int n = 0; n < columns;) {
        const Int left = (columns - n) / LANES<S>, vectors = left % 5 == 0 ? 5 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
#define STRIP(V) strip<S, V>(a, row, step, b + n, b_line, depth, c + n, c_line, rows, adds)
        if (vectors == 5) STRIP(5);
        else if (vectors == 4) STRIP(4);
        else if (vectors == 2) STRIP(2);
        else STRIP(1);
#undef STRIP
        n += vectors * LANES<S>;
    }
}

// ReLU's slope: what stands where `by` is positive, or not a number.
template <class S> void pass_on(S* x, Int x_line, const S* by, Int by_line, Int rows, Int columns) {
    for (Int row = 0; row < rows; ++row)
        for (Int n = 0; n < columns; ++n)
            x[row * x_line + n] = by[row * by_line + n] <= 0 ? S(0) : x[row * x_line + n];
}

// Rows become columns: each round takes the top bit of a cell's row to the end of its column, and the other way.
template <class S> inline void turn_block(Vector<S>* rows) {
    constexpr int L = LANES<S>;
#if defined(__clang__)
    for (int r = 0; r < L; ++r)
        for (int c = 0; c < r; ++c) {
            const S kept = rows[r][c];
            rows[r][c] = rows[c][r], rows[c][r] = kept;
        }
#else
    typedef typename std::conditional<sizeof(S) == 4, std::int32_t, std::int64_t>::type Number;
    typedef Number Numbers __attribute__((vector_size(BYTES)));
    Numbers low, high;
    for (int n = 0; n < L; ++n) low[n] = n / 2 + n % 2 * L, high[n] = low[n] + L / 2;
    for (int round = 1; round < L; round *= 2) {
        Vector<S> turned[L];
        for (int r = 0; r < L / 2; ++r) {
            turned[2 * r] = __builtin_shuffle(rows[r], rows[r + L / 2], low);
            turned[2 * r + 1] = __builtin_shuffle(rows[r], rows[r + L / 2], high);
        }
        for (int r = 0; r < L; ++r) rows[r] = turned[r];
    }
#endif
}

template <class S> S inner(const S* a, const S* b, Int count) {  // whole vectors
    Vector<S> sum{};
    for (Int n = 0; n < count; n += LANES<S>) sum += load(a + n) * load(b + n);
    S found = 0;
    for (int lane = 0; lane < LANES<S>; ++lane) found += sum[lane];
    return found;
}

}  // namespace
