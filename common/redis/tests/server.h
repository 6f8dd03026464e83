/* A real redis-server on a free loopback port, for tests of one process. */
#ifndef TG_REDIS_TESTS_SERVER_H
#define TG_REDIS_TESTS_SERVER_H

#include <sys/types.h>

typedef struct test_redis {
    char address[32]; /* "127.0.0.1:port" */
    char port[8];
    pid_t pid;
} test_redis_t;

void test_redis_find_port(test_redis_t *redis);
void test_redis_start(test_redis_t *redis); /* on that port, empty; dies with its parent */
void test_redis_kill(test_redis_t *redis);

#endif
