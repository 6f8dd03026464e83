/* begin → on_looked → (an alias: on_scope) → complete. */
#include "registry/resources/candidate.h"

#include "registry/metrics.h"
#include "registry/settings/metadata.h"
#include "registry/settings/store.h"

#define STMTS         (2 + TG_REFERENCES_STMTS)
#define PRINTED_MAX   ((size_t)1 << 20)
#define CLOSURE_STMT  3
#define RESOLVED_STMT 2
#define FOUND_STMT    2 /* where there are no references */

void tg_candidate_dispose(tg_candidate_t *candidate)
{
    tg_avro_schema_destroy(candidate->schema);
    candidate->schema = NULL;
    tg_buf_dispose(&candidate->printed);
}

static void fail(tg_request_t *request, const tg_candidate_t *candidate, tg_status_t status,
                 const tg_error_t *error)
{
    assert(status != TG_OK);
    if (candidate->registers)
        tg_metric_add(request->thread->shard, RG_REGISTERED, RG_INVALID, 1);
    if (status == TG_NOMEM)
        tg_request_fail_store(request, status, NULL);
    else
        tg_request_fail(request, status == TG_DENIED ? 42211 : 42201, "%s", error->text);
}

/* --- once everything is known --- */

static tg_status_t read_schema(tg_request_t *request, tg_candidate_t *candidate,
                               const tg_pg_answer_t *answer, tg_error_t *error)
{
    tg_references_t *references = &candidate->body.references;
    if (candidate->schema != NULL)
        return TG_OK; /* guessed */
    if (references->count == 0)
        return tg_submission_parse(candidate->body.schema, NULL, &candidate->schema, error);
    tg_status_t status =
        tg_references_resolve(references, answer->results[RESOLVED_STMT], request->arena, error);
    if (status != TG_OK)
        return status;
    tg_closure_t *closure = tg_arena_alloc(request->arena, sizeof(*closure));
    if (closure == NULL)
        return TG_NOMEM;
    status = tg_closure_parse(answer->results[CLOSURE_STMT], closure, error);
    if (status == TG_OK)
        status = tg_submission_parse(candidate->body.schema, closure, &candidate->schema, error);
    tg_closure_dispose(closure);
    return status;
}

static tg_status_t merge_metadata(tg_request_t *request, tg_candidate_t *candidate,
                                  tg_str_t previous, tg_error_t *error)
{
    const tg_subject_config_t *config = &candidate->scope.effective;
    tg_metadata_sources_t sources = {
        .given = candidate->body.metadata,
        .defaults = candidate->registers ? config->default_metadata : (tg_str_t){NULL, 0},
        .previous = candidate->registers ? previous : (tg_str_t){NULL, 0},
        .overrides = candidate->registers ? config->override_metadata : (tg_str_t){NULL, 0},
    };
    return tg_metadata_merge(&sources, request->arena, &candidate->metadata, error);
}

/* An import is to be what it was elsewhere. */
static bool is_import(const tg_candidate_t *candidate)
{
    return candidate->scope.effective.mode == TG_MODE_IMPORT;
}

static bool same_text_or_none(tg_str_t a, tg_str_t b)
{
    if (a.ptr == NULL || b.ptr == NULL)
        return a.ptr == b.ptr;
    return tg_str_eq(a, b);
}

/* Whether what was looked for along the way is what it has turned out to be. */
static bool guessed_well(const tg_request_t *request, const tg_candidate_t *candidate,
                         bool normalize)
{
    return candidate->found != NULL && normalize == tg_request_flag(request, "normalize") &&
           same_text_or_none(candidate->metadata, candidate->body.metadata);
}

static void complete(tg_request_t *request, tg_candidate_t *candidate, tg_str_t previous)
{
    tg_error_t error = {.status = TG_OK};
    bool normalize =
        tg_request_flag(request, "normalize") || candidate->scope.effective.normalize == TG_YES;
    if (is_import(candidate))
        candidate->metadata = candidate->body.metadata;
    tg_status_t status =
        is_import(candidate) ? TG_OK : merge_metadata(request, candidate, previous, &error);
    if (status == TG_OK && !guessed_well(request, candidate, normalize)) {
        candidate->found = NULL;
        tg_buf_clear(&candidate->printed);
        status =
            tg_submission_identify(candidate->schema, normalize, &candidate->body.references,
                                   candidate->metadata, &candidate->printed, &candidate->identity);
    }
    if (status == TG_OK)
        candidate->done(request, candidate);
    else
        fail(request, candidate, status, &error);
}

/* --- asking --- */

struct waiting {
    tg_candidate_t *candidate;
    tg_str_t previous; /* metadata of the newest version */
    bool guesses;      /* the look-up goes along */
};

static void take_scope(tg_request_t *request, struct waiting *waiting, const PGresult *rows)
{
    tg_candidate_t *candidate = waiting->candidate;
    tg_error_t error = {.status = TG_OK};
    tg_status_t status = tg_scope_read(rows, request->context, candidate->subject, request->arena,
                                       &candidate->scope);
    if (status == TG_OK)
        complete(request, candidate, waiting->previous);
    else
        fail(request, candidate, status, &error);
}

static void on_scope(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    if (tg_request_woken(request, status, answer))
        take_scope(request, request->waiting, answer->results[0]);
}

static void take_answer(tg_request_t *request, struct waiting *waiting,
                        const tg_pg_answer_t *answer)
{
    tg_candidate_t *candidate = waiting->candidate;
    tg_error_t error = {.status = TG_OK};
    tg_store_newest_t newest = tg_store_read_newest(answer->results[0]);
    candidate->has_room = newest.has_room;
    candidate->subject = tg_arena_copy(request->arena, newest.subject);
    if (newest.metadata.ptr != NULL)
        waiting->previous = tg_arena_copy(request->arena, newest.metadata);
    tg_status_t status = candidate->subject.ptr == NULL ? TG_NOMEM : TG_OK;
    if (status == TG_OK)
        status = read_schema(request, candidate, answer, &error);
    if (status == TG_OK)
        status = tg_submission_check_type(candidate->subject, candidate->schema,
                                          &candidate->is_type, &error);
    if (status != TG_OK) {
        fail(request, candidate, status, &error);
        return;
    }
    if (tg_str_eq(candidate->subject, request->subject.name)) {
        candidate->found = waiting->guesses ? answer->results[FOUND_STMT] : NULL;
        take_scope(request, waiting, answer->results[1]);
        return;
    }
    tg_store_ask_t ask = tg_request_ask(request, on_scope);
    tg_pg_stmt_t stmt = tg_scope_stmt(request->context, candidate->subject);
    tg_request_wait(request,
                    tg_pg_call(ask.pool, NULL, &stmt, 1, ask.deadline_at_ms, ask.done, ask.arg));
}

static void on_looked(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    if (tg_request_woken(request, status, answer))
        take_answer(request, request->waiting, answer);
}

/* What it is if nothing is configured; a schema that does not read fails here, before anything is
 * asked. */
static tg_status_t guess(tg_request_t *request, tg_candidate_t *candidate, tg_error_t *error)
{
    tg_status_t status =
        tg_submission_parse(candidate->body.schema, NULL, &candidate->schema, error);
    return status == TG_OK
               ? tg_submission_identify(candidate->schema, tg_request_flag(request, "normalize"),
                                        NULL, candidate->body.metadata, &candidate->printed,
                                        &candidate->identity)
               : status;
}

static tg_pg_stmt_t found_stmt(tg_request_t *request, const tg_candidate_t *candidate)
{
    tg_store_ask_t ask = tg_request_ask(request, on_looked);
    tg_store_wanted_t wanted = {.identity = {candidate->identity.hex, TG_IDENTITY_LEN}};
    return tg_store_find_stmt(&ask, request->subject.name, &wanted,
                              (tg_store_form_t){.deleted = false});
}

void tg_candidate_again(tg_request_t *request, tg_candidate_t *candidate)
{
    tg_error_t error = {.status = TG_OK};
    tg_candidate_dispose(candidate);
    candidate->found = NULL;
    candidate->printed = tg_buf_make(PRINTED_MAX);
    bool guesses = candidate->registers && candidate->body.references.count == 0;
    tg_status_t status = guesses ? guess(request, candidate, &error) : TG_OK;
    if (status != TG_OK) {
        fail(request, candidate, status, &error);
        return;
    }
    struct waiting *waiting = tg_arena_alloc(request->arena, sizeof(*waiting));
    tg_pg_stmt_t stmts[STMTS];
    size_t count = 2;
    bool refers = candidate->body.references.count > 0;
    if (waiting == NULL ||
        (refers && tg_references_stmts(&candidate->body.references, request->arena,
                                       stmts + RESOLVED_STMT) != TG_OK)) {
        tg_request_fail_store(request, TG_NOMEM, NULL);
        return;
    }
    waiting->candidate = candidate;
    waiting->guesses = guesses;
    request->waiting = waiting;
    tg_str_t max_types = candidate->registers ? request->thread->max_types : (tg_str_t){NULL, 0};
    stmts[0] = tg_store_newest_stmt(request->context, request->subject.name, max_types);
    stmts[1] = tg_scope_stmt(request->context, request->subject.name);
    count += refers ? TG_REFERENCES_STMTS : 0;
    if (guesses)
        stmts[count++] = found_stmt(request, candidate);
    tg_store_ask_t ask = tg_request_ask(request, on_looked);
    tg_request_wait(request, tg_pg_call(ask.pool, NULL, stmts, count, ask.deadline_at_ms, ask.done,
                                        ask.arg));
}

void tg_candidate_begin(tg_request_t *request, tg_candidate_t *candidate)
{
    assert(candidate->done != NULL);
    tg_error_t error = {.status = TG_OK};
    candidate->printed = tg_buf_make(PRINTED_MAX);
    if (!tg_request_body_ok(request))
        return;
    tg_status_t status =
        tg_submission_read(request->thread->parser, tg_http_body(request->req), &request->viewer,
                           request->context, request->arena, &candidate->body, &error);
    if (status == TG_OK && candidate->body.metadata.ptr != NULL)
        status = tg_metadata_read(candidate->body.metadata, request->arena,
                                  &candidate->body.metadata, &error);
    if (status == TG_OK)
        tg_candidate_again(request, candidate);
    else
        fail(request, candidate, status, &error);
}
