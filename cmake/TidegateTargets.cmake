# One function per kind of target, so that flags are the same in the whole tree.
#   tg_library(NAME SOURCES... [LINK ...])     static library
#   tg_program(NAME SOURCES... [LINK ...])     executable, hardened
#   tg_test(NAME SOURCES... [LINK ...])        cmocka program, found by ctest, label "unit";
#           [NO_TSAN reason]                   skipped, with the reason, under ThreadSanitizer
#           [COST seconds]                     a long one: started before the others
#   tg_fuzz(NAME SOURCES... [LINK ...])        libFuzzer target; a no-op unless the preset is "fuzz"

set(TG_SANITIZE "" CACHE STRING "Comma list for -fsanitize, e.g. address,undefined or thread")
option(TG_FUZZ "Build the libFuzzer targets (clang only)" OFF)
option(TG_COVERAGE "Instrument for gcov" OFF)
option(TG_FAULT_POINTS "Compile in the named fault points that the fault tests use" OFF)
option(TG_WERROR "Treat warnings as errors" ON)

add_library(tg_flags INTERFACE)
target_include_directories(tg_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_features(tg_flags INTERFACE c_std_17 cxx_std_17)
target_compile_definitions(tg_flags INTERFACE _GNU_SOURCE TG_VERSION="${PROJECT_VERSION}")
target_compile_options(tg_flags INTERFACE
  -Wall -Wextra -Wshadow -Wformat=2 -Wundef -Wvla
  $<$<COMPILE_LANGUAGE:C>:-Wconversion -Wstrict-prototypes -Wmissing-prototypes>
  $<$<BOOL:${TG_WERROR}>:-Werror>
  -g -fno-omit-frame-pointer
  -fstack-clash-protection -fstack-protector-strong -fcf-protection=full
  -ftrivial-auto-var-init=zero -fno-delete-null-pointer-checks -fno-strict-overflow
  -fno-strict-aliasing -fPIE)
if(CMAKE_C_COMPILER_ID STREQUAL "Clang")
  # clang 14 wants this said before it accepts zero as the initial value.
  target_compile_options(tg_flags INTERFACE -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang)
endif()
# assert() stays on in release builds: it states what the code relies on.
foreach(lang C CXX)
  foreach(type RELEASE RELWITHDEBINFO MINSIZEREL)
    string(REPLACE "-DNDEBUG" "" CMAKE_${lang}_FLAGS_${type} "${CMAKE_${lang}_FLAGS_${type}}")
  endforeach()
endforeach()
if(TG_SANITIZE)
  target_compile_options(tg_flags INTERFACE -fsanitize=${TG_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(tg_flags INTERFACE -fsanitize=${TG_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(tg_flags INTERFACE -D_FORTIFY_SOURCE=3)
endif()
if(TG_FUZZ)
  target_compile_options(tg_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
  target_link_options(tg_flags INTERFACE -fsanitize=address,undefined)
endif()
if(TG_COVERAGE)
  target_compile_options(tg_flags INTERFACE --coverage)
  target_link_options(tg_flags INTERFACE --coverage)
endif()
if(TG_FAULT_POINTS)
  target_compile_definitions(tg_flags INTERFACE TG_FAULT_POINTS=1)
endif()
target_link_options(tg_flags INTERFACE -pie -Wl,-z,nodlopen,-z,noexecstack,-z,relro,-z,now)

function(tg_target_defaults name)
  target_link_libraries(${name} PRIVATE tg_flags)
endfunction()

function(tg_library name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  tg_target_defaults(${name})
endfunction()

function(tg_program name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  tg_target_defaults(${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endfunction()

# All programs that ctest runs, and nothing else: what the sanitizers are run on.
add_custom_target(unit_tests)

set(TG_RDKAFKA_NO_TSAN "librdkafka's C11 threads are unknown to ThreadSanitizer, which crashes at the first")

function(tg_test name)
  if(NOT BUILD_TESTING OR TG_FUZZ)
    return()
  endif()
  cmake_parse_arguments(ARG "" "NO_TSAN;COST" "LINK" ${ARGN})
  if(ARG_NO_TSAN AND TG_SANITIZE MATCHES "thread")
    add_test(NAME ${name} COMMAND ${CMAKE_COMMAND} -E echo "skipped: ${ARG_NO_TSAN}")
    set_tests_properties(${name} PROPERTIES LABELS unit SKIP_REGULAR_EXPRESSION "skipped: ")
    return()
  endif()
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} PkgConfig::CMOCKA)
  tg_target_defaults(${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/unit)
  add_dependencies(unit_tests ${name})
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 120)
  if(ARG_COST)
    set_tests_properties(${name} PROPERTIES COST ${ARG_COST})
  endif()
endfunction()

function(tg_fuzz name)
  if(NOT TG_FUZZ)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  tg_target_defaults(${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
endfunction()
