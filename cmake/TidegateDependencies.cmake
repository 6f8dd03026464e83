# Every library that tidegate stands on, from the distribution's packages.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
pkg_check_modules(RDKAFKA REQUIRED IMPORTED_TARGET rdkafka>=2.0.2)
pkg_check_modules(LIBPQ REQUIRED IMPORTED_TARGET libpq>=15)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis>=0.14)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.14)
pkg_check_modules(SIMDJSON REQUIRED IMPORTED_TARGET simdjson>=3.0)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib>=1.2)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd>=1.5)
pkg_check_modules(H2O REQUIRED IMPORTED_TARGET libh2o-evloop)
# libh2o's headers must see the same backend switches as the packaged library.
target_compile_definitions(PkgConfig::H2O INTERFACE H2O_USE_EPOLL=1 H2O_USE_LIBUV=0)
target_link_libraries(PkgConfig::H2O INTERFACE OpenSSL::SSL OpenSSL::Crypto Threads::Threads)
# An allocator for a program that frees in one thread what another one allocated; sanitizers bring
# their own.
find_package(mimalloc REQUIRED CONFIG)
add_library(tg_allocator INTERFACE)
if(NOT TG_SANITIZE AND NOT TG_FUZZ)
  target_link_libraries(tg_allocator INTERFACE mimalloc)
endif()
# Tests only.
pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka>=1.1.5)
pkg_check_modules(AVRO IMPORTED_TARGET avro-c)
