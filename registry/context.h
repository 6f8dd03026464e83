/* Contexts: what a subject's name is resolved in, and who may see it.
 *
 * In names that clients use, a context is ".name" and a subject in it ":.name:subject"; "." is the
 * default one, which needs no prefix. In the database the default context is "", ".acme" is "acme",
 * and a tenant's context has the tenant's id.
 *
 * A viewer is a tenant or an operator. For a tenant its own context is the whole registry and reads
 * "."; behind it stands the default context, whose subjects it sees and cannot change. An operator
 * names any context.
 *
 * Limits: TG_CONTEXT_MAX and TG_SUBJECT_MAX bytes.
 * Threads: pure functions. */
#ifndef TG_REGISTRY_CONTEXT_H
#define TG_REGISTRY_CONTEXT_H

#include "common/base/str.h"

#define TG_CONTEXT_MAX 63
#define TG_SUBJECT_MAX 255 /* bytes, without a context's prefix */

typedef struct tg_viewer {
    bool tenant;
    tg_str_t own; /* the tenant's context, or "" */
} tg_viewer_t;

/* A subject in its context, as the database has them. */
typedef struct tg_subject_name {
    tg_str_t context; /* never NULL */
    tg_str_t name;    /* may be empty: the context itself */
} tg_subject_name_t;

/* 1..TG_CONTEXT_MAX bytes of letters, digits, '_', '-' and '.'. */
bool tg_context_name_ok(tg_str_t name);

/* Reads ".name", "name" or ":.name:", as it stands in a path. TG_DENIED: not the viewer's to name;
 * TG_INVALID: no such name. */
TG_NODISCARD tg_status_t tg_context_parse(const tg_viewer_t *viewer, tg_str_t text,
                                          tg_str_t *out_context);

/* Reads "subject" (in `within`) or ":.context:subject". TG_DENIED, TG_INVALID as above; the name
 * itself is not looked at. */
TG_NODISCARD tg_status_t tg_context_subject(const tg_viewer_t *viewer, tg_str_t within,
                                            tg_str_t text, tg_subject_name_t *out_subject);

/* 1..TG_SUBJECT_MAX bytes of UTF-8 without control characters, not beginning with ":*:". */
bool tg_subject_ok(tg_str_t name);

/* Whether a subject of this context reads without a prefix. */
bool tg_context_is_plain(const tg_viewer_t *viewer, tg_str_t context);

/* Appends ".", ".name"; and "subject" or ":.name:subject" as a JSON string. */
void tg_context_print(const tg_viewer_t *viewer, tg_str_t context, tg_buf_t *out);
void tg_context_print_subject(const tg_viewer_t *viewer, tg_str_t context, tg_str_t name,
                              tg_buf_t *out);

#endif
