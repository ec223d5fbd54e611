# What differs between processors and C libraries. Sets KCPTUN_ISAL: whether CRCs come from ISA-L.
include(CheckCXXSourceCompiles)
include(CheckTypeSize)

# ISA-L has fast CRCs for these two. On other processors it has a table of bytes or no package, and
# core/base/sliced_crc.h is faster.
if(CMAKE_SIZEOF_VOID_P EQUAL 8 AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|aarch64|arm64)$")
  set(KCPTUN_ISAL_DEFAULT ON)
else()
  set(KCPTUN_ISAL_DEFAULT OFF)
endif()
option(KCPTUN_ISAL "Take CRCs from ISA-L" ${KCPTUN_ISAL_DEFAULT})

if(CMAKE_SIZEOF_VOID_P EQUAL 4)
  target_compile_definitions(kcptun_flags INTERFACE _FILE_OFFSET_BITS=64)  # logs beyond 2 GiB
  set(CMAKE_EXTRA_INCLUDE_FILES time.h)
  check_type_size(time_t KCPTUN_TIME_T)
  unset(CMAKE_EXTRA_INCLUDE_FILES)
  if(KCPTUN_TIME_T EQUAL 4)
    set(KCPTUN_WIDENS_TIME ON)
    target_compile_definitions(kcptun_flags INTERFACE _TIME_BITS=64)  # dates after 2038
  endif()
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(i[3-6]86|x86_64|AMD64)$")
    # The x87 unit keeps 80 bits of some intermediate results, so that equal computations compare unequal.
    target_compile_options(kcptun_flags INTERFACE -msse2 -mfpmath=sse)
  endif()
endif()

# Counters of 64 bits between threads: some 32-bit processors have no instruction for them.
check_cxx_source_compiles("#include <atomic>
#include <cstdint>
std::atomic<std::uint64_t> counter;
int main() { return static_cast<int>(counter.fetch_add(1)); }" KCPTUN_HAS_ATOMIC_64)
if(NOT KCPTUN_HAS_ATOMIC_64)
  target_link_libraries(kcptun_flags INTERFACE atomic)
endif()
