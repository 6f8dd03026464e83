/* ?format=resolved: a schema's text with all that it refers to written out in it, so that it can be
 * read alone. Without references that is the text as it is, and nothing is asked or parsed.
 *
 * Threads: those of the request. */
#ifndef TG_REGISTRY_RESOLVED_H
#define TG_REGISTRY_RESOLVED_H

#include "registry/request.h"

/* The texts a client can choose by "format"; whatever else it says is TG_FORMAT_PRINTED. */
typedef enum tg_format { TG_FORMAT_PRINTED, TG_FORMAT_ORIGINAL, TG_FORMAT_RESOLVED } tg_format_t;
tg_format_t tg_request_format(const tg_request_t *request);

/* Answers the request with `row`. */
typedef void (*tg_resolved_fn)(tg_request_t *request, const tg_store_row_t *row);

/* Calls `answer` at once where there is nothing to write out; else asks first, and then calls it
 * with a row that has no references any more. */
void tg_resolved_answer(tg_request_t *request, const tg_store_row_t *row, tg_format_t format,
                        tg_resolved_fn answer);

#endif
