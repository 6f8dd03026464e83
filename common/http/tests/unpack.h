/* A compressed body back, for the tests of those who compress. */
#ifndef TG_HTTP_TESTS_UNPACK_H
#define TG_HTTP_TESTS_UNPACK_H

#include "common/http/edge/coding.h"

/* Fails the test unless `packed` is `wanted` in that coding, and nothing besides. */
void test_unpacks_to(tg_coding_t coding, tg_str_t packed, tg_str_t wanted);

#endif
