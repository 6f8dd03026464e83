/* How often the program has asked for memory: this file takes the place of the C library's
 * allocator, so link it into programs that measure only. */
#ifndef TG_BASE_TESTS_ALLOCATIONS_H
#define TG_BASE_TESTS_ALLOCATIONS_H

#include <stddef.h>

/* The sanitizers have put their own allocator there: nothing is counted under them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_ALLOCATIONS_COUNTED 0
#else
#define TEST_ALLOCATIONS_COUNTED 1
#endif

/* Calls of malloc, calloc and realloc so far. */
size_t test_allocations(void);

#endif
