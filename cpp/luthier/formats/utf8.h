// Well-formed UTF-8, as the Unicode Standard defines it in table 3-7.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace luthier {

/// Bytes of the well-formed character at `position`: 1 to 4; 0 when the bytes there are none (cut off, overlong,
/// a surrogate, above U+10FFFF).
size_t utf8_length(std::string_view text, size_t position);

/// Whether the whole text is well-formed UTF-8.
bool is_utf8(std::string_view text);

/// Appends a code point below U+110000 that is no surrogate.
void append_utf8(std::string& text, char32_t code_point);

}  // namespace luthier
