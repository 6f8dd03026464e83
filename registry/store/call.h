/* What the files of the store share: parameters as text. Private to registry/store*.c.
 *
 * Threads: values of one thread. */
#ifndef TG_REGISTRY_STORE_CALL_H
#define TG_REGISTRY_STORE_CALL_H

#include "registry/store/store.h"

typedef struct tg_store_digits {
    char text[24];
} tg_store_digits_t;

/* Borrows `digits`. */
tg_str_t tg_store_number(uint64_t value, tg_store_digits_t *digits);

static inline tg_str_t tg_store_flag(bool value)
{
    return value ? TG_STR("t") : TG_STR("f");
}

tg_pg_call_t *tg_store_call(const tg_store_ask_t *ask, const tg_pg_stmt_t *stmts, size_t count);

#endif
