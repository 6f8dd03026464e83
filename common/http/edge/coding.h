/* Content codings that are spoken here (RFC 9110 section 8.4): of a body that comes, and of an
 * answer, by what its client accepts (section 12.5.3).
 *
 * An Accept-Encoding is read strictly: a line that is not of its grammar, or has more members than
 * TG_ACCEPT_MEMBERS_MAX, says nothing at all, so nobody gets a coding that was not asked for.
 *
 * Threads: plain functions. */
#ifndef TG_EDGE_CODING_H
#define TG_EDGE_CODING_H

#include "common/base/str.h"

#define TG_ACCEPT_MEMBERS_MAX 32

typedef enum tg_coding { TG_CODING_IDENTITY, TG_CODING_GZIP, TG_CODING_ZSTD } tg_coding_t;
#define TG_CODING_COUNT 3

/* Reads a Content-Encoding: TG_OK; TG_NOT_FOUND: a coding that is not known here; TG_INVALID: more
 * than one. Empty text is identity. */
TG_NODISCARD tg_status_t tg_coding_read(tg_str_t text, tg_coding_t *out_coding);
const char *tg_coding_name(tg_coding_t coding);

/* What a client accepts, in thousandths; TG_ACCEPT_UNSAID where nothing was said. */
typedef struct tg_accept {
    int weights[TG_CODING_COUNT];
    int any; /* of "*" */
    unsigned members;
} tg_accept_t;
#define TG_ACCEPT_UNSAID (-1)
#define TG_ACCEPT_NOTHING                                                                          \
    (tg_accept_t)                                                                                  \
    {                                                                                              \
        {TG_ACCEPT_UNSAID, TG_ACCEPT_UNSAID, TG_ACCEPT_UNSAID}, TG_ACCEPT_UNSAID, 0                \
    }

/* Takes one line of Accept-Encoding up; several add to each other. TG_INVALID: *inout_accept is not
 * changed. */
TG_NODISCARD tg_status_t tg_accept_read(tg_str_t line, tg_accept_t *inout_accept);

/* The coding for an answer that is worth one: zstd or gzip, whichever weighs more, zstd when they
 * weigh the same; identity when neither is accepted or it weighs more itself. A bare "*" means
 * gzip, which everybody can read. */
tg_coding_t tg_accept_choose(const tg_accept_t *accept);

/* Whether the client has said that it does not take an answer as it is. */
bool tg_accept_forbids_identity(const tg_accept_t *accept);

#endif
