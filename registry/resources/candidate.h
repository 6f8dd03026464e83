/* A schema that a client has sent, read and known by all that decides about it: the effective
 * configuration of its subject, what it refers to, its print and its identity. Registration,
 * look-up and the compatibility test begin with it.
 *
 * One round trip; two where the subject is an alias. Most registrations are of schemas that are
 * there already, so the look-up goes along, with the identity as it is if nothing is configured.
 *
 * Threads: those of the request. */
#ifndef TG_REGISTRY_CANDIDATE_H
#define TG_REGISTRY_CANDIDATE_H

#include "registry/request.h"
#include "registry/settings/config.h"
#include "registry/submission.h"

typedef struct tg_candidate tg_candidate_t;

/* The candidate is ready: the handler goes on with the request. */
typedef void (*tg_candidate_fn)(tg_request_t *request, tg_candidate_t *candidate);

struct tg_candidate {
    /* set by the caller */
    bool registers; /* metadata are completed from the configuration and the newest version */
    tg_candidate_fn done;

    tg_submission_t body;
    tg_str_t subject;         /* behind its alias */
    tg_scope_t scope;         /* of that one */
    tg_avro_schema_t *schema; /* owned */
    tg_buf_t printed;         /* owned */
    tg_identity_t identity;
    tg_str_t metadata; /* ptr NULL: none */
    bool is_type;      /* it is an event type */
    bool has_room;     /* the context may have it */

    /* One that registers without references is looked for along the way: a row of
     * tg_store_read_row, borrowed until `done` returns. NULL: not asked, or not for the identity
     * that it turned out to have. */
    const PGresult *found;
};

/* Reads the request's body, whose subject is read, and calls `done`, never before returning; or
 * answers the request. The caller sees to it that the request's dispose disposes the candidate. */
void tg_candidate_begin(tg_request_t *request, tg_candidate_t *candidate);

/* The same again with the same body, because the subject has changed. */
void tg_candidate_again(tg_request_t *request, tg_candidate_t *candidate);

/* Frees what it owns; begun or not. */
void tg_candidate_dispose(tg_candidate_t *candidate);

#endif
