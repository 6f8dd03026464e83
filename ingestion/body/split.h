/* The body of a batch cut into its items, without parsing them: the elements of a JSON array, or
 * the lines of NDJSON.
 *
 * Why before parsing: each item is then parsed alone, so that its size and depth are bounded, its
 * error is its own, and a hostile body costs no more memory than its bytes. What stands between the
 * brackets and commas is the item's parser's business; only an array whose structure is broken is
 * refused whole, since its items cannot be told apart.
 *
 * Limits: items per body. Threads: any; plain functions. */
#ifndef TG_INGESTION_BODY_SPLIT_H
#define TG_INGESTION_BODY_SPLIT_H

#include "common/base/str.h"

/* Called for each item in order; TG_OK goes on, anything else ends the walk with that status. */
typedef tg_status_t (*tg_split_fn)(void *arg, tg_str_t item);

/* Hands out the elements of the JSON array `body`. TG_INVALID with the byte where it stops being
 * one. */
TG_NODISCARD tg_status_t tg_split_array(tg_str_t body, tg_split_fn on_item, void *arg,
                                        tg_error_t *error);

/* Hands out the lines of `body` that are not blank, without the white space around them. */
TG_NODISCARD tg_status_t tg_split_lines(tg_str_t body, tg_split_fn on_item, void *arg);

#endif
