// bf16 operands in the layouts that at::native::cpublas::brgemm reads: A [M, K] by rows; B [K, N] in pairs of rows,
// B[k / 2][n][k % 2], known as VNNI. Rows that pad a count to an even number are zero.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace luthier::cpu {

/// A without gaps between its rows: out[m][k] = in[m][k], m < rows, k < columns; zero for rows <= m < padded_rows.
void copy_rows(const c10::BFloat16* in, int64_t in_stride, int64_t rows, int64_t columns, int64_t padded_rows,
               c10::BFloat16* out);

/// B from its rows: out[k / 2][n][k % 2] = in[k][n], k < rows, n < columns; zero for rows <= k < padded_rows (even).
/// A pair of rows of out holds out_columns columns.
void pack_rows(const c10::BFloat16* in, int64_t in_stride, int64_t rows, int64_t columns, int64_t padded_rows,
               c10::BFloat16* out, int64_t out_columns);

/// B from its columns: out[k / 2][n][k % 2] = in[n][k], n < rows, k < columns (even); zero for rows <= n < out_columns.
void pack_columns(const c10::BFloat16* in, int64_t in_stride, int64_t rows, int64_t columns, c10::BFloat16* out,
                  int64_t out_columns);

/// out[n][k] = in[k][n], k < rows, n < columns; zero for rows <= k < padded_rows.
void transpose(const c10::BFloat16* in, int64_t in_stride, int64_t rows, int64_t columns, int64_t padded_rows,
               c10::BFloat16* out, int64_t out_stride);

/// out[n][k] = in[k][n], k < rows, n < columns.
void transpose(const float* in, int64_t in_stride, int64_t rows, int64_t columns, float* out, int64_t out_stride);

}  // namespace luthier::cpu
