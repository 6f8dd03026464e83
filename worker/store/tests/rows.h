/* Rows for tests, made from words.
 *
 * Threads: one; the texts are kept until the program ends. */
#ifndef TG_WORKER_TEST_ROWS_H
#define TG_WORKER_TEST_ROWS_H

#include "worker/store/row.h"

/* A row of (tenant, type, kind, entity) with id `number`, without a value. */
tg_row_t tg_test_row(const char *tenant, const char *type, const char *kind, const char *entity,
                     unsigned number, int64_t occurred_at);

/* The same with a value. */
tg_row_t tg_test_row_value(const char *tenant, const char *type, const char *kind,
                           const char *entity, unsigned number, int64_t occurred_at, double value);

#endif
