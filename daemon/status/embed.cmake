# Writes a file as a C++ array: cmake -DINPUT=page.html -DOUTPUT=page_bytes.cc -P embed.cmake
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" bytes "${bytes}")
file(WRITE ${OUTPUT} "// The bytes of page.html, by embed.cmake.
#include <cstddef>
namespace kcptun {
extern const unsigned char kPageBytes[] = {
${bytes}};
extern const std::size_t kPageSize = sizeof kPageBytes;
}  // namespace kcptun
")
