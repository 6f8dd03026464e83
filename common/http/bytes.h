/* Bytes together with whoever must hear that they are needed no more: a body that goes from hand to
 * hand without being copied.
 *
 * Threads: a value of one thread; `release` is called on it. */
#ifndef TG_HTTP_BYTES_H
#define TG_HTTP_BYTES_H

#include "common/base/str.h"

typedef struct tg_http_bytes {
    tg_str_t view;
    void (*release)(void *owner); /* called once, by the last holder */
    void *owner;
} tg_http_bytes_t;

#endif
