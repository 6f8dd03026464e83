/* POST /subjects/:subject/versions: candidate → on_found → (its turn) → on_checked → on_registered.
 *
 * A schema that is there already is answered from a look-up and writes nothing. What the check of
 * compatibility has seen is told to the database as "this is still the newest version"; when that
 * no longer holds, or another registration or deletion was faster, all begins anew, at most
 * ATTEMPTS times. So that this is rare, those of one subject stand in line within the thread: only
 * other threads and processes can be in the way. The answer goes out when the transaction has
 * committed. */
#include "common/base/hash.h"
#include "common/base/time.h"
#include "common/observe/log.h"
#include "registry/compatibility/check.h"
#include "registry/metrics.h"
#include "registry/resources/candidate.h"
#include "registry/routes.h"

#define ATTEMPTS   100
#define BACKOFF_MS 20 /* at most; between attempts */

struct registration {
    tg_request_t *request;
    struct registration *prev, *next; /* of the thread's line, if `listed` */
    bool listed, has_turn;
    tg_timer_t timer; /* its turn has come, or it tries again */
    tg_candidate_t candidate;
    tg_check_t *check;
    unsigned attempts;
    uint64_t began_us;
    bool checked;
    uint32_t newest;
};

static void count(tg_request_t *request, unsigned result)
{
    tg_metric_add(request->thread->shard, RG_REGISTERED, result, 1);
}

/* --- the line --- */

static bool same_subject(const struct registration *a, const struct registration *b)
{
    return tg_str_eq(a->candidate.subject, b->candidate.subject) &&
           tg_str_eq(a->request->context, b->request->context);
}

static void on_turn(void *arg)
{
    struct registration *op = arg;
    tg_request_settle(op->request);
    op->checked = false;
    op->newest = 0;
    tg_candidate_again(op->request, &op->candidate); /* the subject is not what it was */
}

static void never(void *arg)
{
    (void)arg; /* dispose does all */
}

static void turn_in(struct registration *op, uint64_t ms)
{
    tg_request_wait_other(op->request, never, NULL);
    tg_timer_start(op->request->thread->loop, &op->timer, ms, on_turn, op);
}

static void leave_line(struct registration *op)
{
    struct registration **head = &op->request->thread->line;
    struct registration *next = op->next;
    tg_timer_stop(&op->timer);
    if (!op->listed)
        return;
    *(op->prev == NULL ? head : &op->prev->next) = op->next;
    if (op->next != NULL)
        op->next->prev = op->prev;
    op->listed = false;
    while (op->has_turn && next != NULL && !same_subject(next, op))
        next = next->next;
    if (op->has_turn && next != NULL) {
        assert(!next->has_turn);
        next->has_turn = true;
        tg_timer_start(next->request->thread->loop, &next->timer, 0, on_turn, next);
    }
}

/* Whether it may go on now; else its turn comes. */
static bool stand_in_line(struct registration *op)
{
    struct registration **at = &op->request->thread->line, *last = NULL;
    if (op->listed)
        return true;
    op->has_turn = true;
    for (; *at != NULL; at = &(*at)->next) {
        last = *at;
        op->has_turn = op->has_turn && !same_subject(last, op);
    }
    op->listed = true;
    op->prev = last;
    op->next = NULL;
    *at = op;
    if (!op->has_turn)
        tg_request_wait_other(op->request, never, NULL);
    return op->has_turn;
}

static void dispose(tg_request_t *request)
{
    struct registration *op = request->user;
    leave_line(op);
    tg_candidate_dispose(&op->candidate);
}

static void again(tg_request_t *request)
{
    struct registration *op = request->user;
    uint8_t random;
    tg_hash_random(&random, sizeof(random));
    if (++op->attempts < ATTEMPTS)
        turn_in(op, random % BACKOFF_MS);
    else
        tg_request_fail_store(request, TG_CONFLICT, NULL);
}

/* --- the ends --- */

/* Clients that write the guid into a record's header take it from here. */
static void reply_id(tg_request_t *request, tg_str_t id, tg_str_t version)
{
    const struct registration *op = request->user;
    tg_buf_t body = tg_buf_make(128);
    tg_buf_printf(&body, "{\"id\":" TG_STR_FMT ",\"version\":" TG_STR_FMT ",\"guid\":\"%.*s\"}",
                  TG_STR_ARG(id), TG_STR_ARG(version), TG_GUID_LEN, op->candidate.identity.guid);
    tg_request_reply(request, &body);
}

static void fail_import(tg_request_t *request, const char *what, uint32_t number)
{
    tg_request_fail(request, 42205,
                    "Overwrite new schema with %s %u in context " TG_STR_FMT " is not permitted.",
                    what, number, TG_STR_ARG(tg_request_shown_context(request)));
}

static void refuse(tg_request_t *request, tg_store_outcome_t outcome)
{
    const struct registration *op = request->user;
    count(request, RG_REFUSED);
    switch (outcome) {
    case TG_STORE_RESERVED:
        tg_request_reserved(request);
        return;
    case TG_STORE_FULL:
        tg_request_fail(request, 42210, "The tenant has reached its limit of %llu schemas.",
                        (unsigned long long)request->thread->config->max_schemas);
        return;
    case TG_STORE_ID_TAKEN:
        fail_import(request, "id", op->candidate.body.id);
        return;
    case TG_STORE_USED_UP:
        tg_request_fail(request, 42205,
                        "The version numbers of the subject are used up: an import has taken the "
                        "highest one, 2147483647.");
        return;
    default:
        assert(outcome == TG_STORE_VERSION_TAKEN);
        fail_import(request, "version", op->candidate.body.version);
    }
}

/* --- writing --- */

static bool lost_a_race(tg_status_t status, const tg_pg_answer_t *answer)
{
    return status == TG_CONFLICT ||
           (status == TG_INTERNAL &&
            (strcmp(answer->sqlstate, "40P01") == 0 || strcmp(answer->sqlstate, "40001") == 0));
}

static void on_registered(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    const struct registration *op = request->user;
    if (lost_a_race(status, answer)) {
        tg_request_settle(request);
        again(request);
        return;
    }
    if (!tg_request_woken(request, status, answer)) {
        count(request, RG_FAILED);
        return;
    }
    tg_store_registered_t row = tg_store_read_registered(answer);
    if (row.outcome == TG_STORE_CHANGED) {
        again(request);
    } else if (row.outcome == TG_STORE_EXISTING) {
        count(request, RG_EXISTING);
        reply_id(request, row.id, row.version);
    } else if (row.outcome == TG_STORE_NEW) {
        count(request, RG_NEW);
        tg_log_info("schema_registered", TG_F_STR("context", request->context),
                    TG_F_STR("subject", op->candidate.subject), TG_F_STR("id", row.id),
                    TG_F_STR("version", row.version),
                    TG_F_INT("ms", (tg_time_mono_us() - op->began_us) / 1000),
                    TG_F_STR("request_id", tg_http_request_id(request->req)));
        reply_id(request, row.id, row.version);
    } else {
        refuse(request, row.outcome);
    }
}

static void write_new(tg_request_t *request)
{
    struct registration *op = request->user;
    const tg_candidate_t *candidate = &op->candidate;
    tg_str_t references;
    if (tg_references_json(&candidate->body.references, request->arena, &references) != TG_OK) {
        tg_request_fail_store(request, TG_NOMEM, NULL);
        return;
    }
    tg_store_new_t what = {
        .subject = candidate->subject,
        .identity = {candidate->identity.hex, TG_IDENTITY_LEN},
        .guid = {candidate->identity.guid, TG_GUID_LEN},
        .schema = candidate->body.schema,
        .printed = tg_buf_view(&candidate->printed),
        .metadata = candidate->metadata,
        .references = references,
        .checked = op->checked,
        .newest = op->newest,
        .id = candidate->body.id,
        .version = candidate->body.version,
        .max_schemas = request->viewer.tenant ? request->thread->config->max_schemas : 0,
    };
    tg_store_ask_t ask = tg_request_ask(request, on_registered);
    tg_request_wait(request, tg_store_register(&ask, &what));
}

/* --- may it be --- */

static void cancel_check(void *arg)
{
    struct registration *op = arg;
    tg_check_cancel(op->check);
}

static void fail_incompatible(tg_request_t *request, const tg_findings_t *findings)
{
    tg_buf_t text = tg_buf_make((size_t)1 << 20);
    tg_buf_printf(&text,
                  "Schema being registered is incompatible with an earlier schema for subject "
                  "\"" TG_STR_FMT "\", details: ",
                  TG_STR_ARG(tg_request_shown(request)));
    tg_findings_write_details(findings, &text);
    count(request, RG_INVALID);
    tg_request_fail_text(request, 409, tg_buf_view(&text));
    tg_buf_dispose(&text);
}

static void on_checked(void *arg, tg_status_t status, const tg_pg_answer_t *answer,
                       const tg_check_result_t *result)
{
    tg_request_t *request = arg;
    struct registration *op = request->user;
    op->check = NULL;
    tg_request_settle(request);
    if (status != TG_OK) {
        tg_request_fail_store(request, status, answer);
        return;
    }
    if (result->findings.count > 0) {
        fail_incompatible(request, &result->findings);
        return;
    }
    op->checked = true;
    op->newest = (uint32_t)result->newest_version;
    write_new(request);
}

static void check(tg_request_t *request)
{
    struct registration *op = request->user;
    tg_check_ask_t ask = {
        .loop = request->thread->loop,
        .pool = request->thread->pool,
        .cache = request->thread->parsed,
        .arena = request->arena,
        .deadline_at_ms = tg_request_deadline(request),
        .context = request->context,
        .subject = op->candidate.subject,
        .scope = &op->candidate.scope,
        .root = tg_avro_schema_root(op->candidate.schema),
        .metadata = op->candidate.metadata,
        .keeps_roles = tg_subject_type(op->candidate.subject).len > 0,
        .done = on_checked,
        .arg = request,
    };
    op->check = tg_check_start(&ask);
    if (op->check == NULL)
        tg_request_fail_store(request, TG_NOMEM, NULL);
    else
        tg_request_wait_other(request, cancel_check, op);
}

/* False when refused. */
static bool may_register(tg_request_t *request)
{
    const struct registration *op = request->user;
    const tg_candidate_t *candidate = &op->candidate;
    tg_error_t error = {.status = TG_OK};
    bool imports = candidate->body.id > 0;
    if (tg_mode_may_register(candidate->scope.effective.mode, imports, tg_request_shown(request),
                             tg_request_shown_context(request), &error) != TG_OK) {
        count(request, RG_REFUSED);
        tg_request_fail(request, 42205, "%s", error.text);
        return false;
    }
    if (candidate->is_type && !candidate->has_room) {
        count(request, RG_REFUSED);
        tg_request_fail(request, 42210, "The tenant has reached its limit of %llu event types.",
                        (unsigned long long)request->thread->config->max_types);
        return false;
    }
    return true;
}

/* There is no live version, and no deleted one counts: whatever it is, it may be the first. */
static bool is_first(const struct registration *op, const tg_store_row_t *row)
{
    return !row->subject_known && tg_subject_type(op->candidate.subject).len == 0;
}

static void take_found(tg_request_t *request, const tg_store_row_t *row)
{
    struct registration *op = request->user;
    uint64_t id = 0;
    bool same_id = row->found && tg_str_to_u64(row->id, &id) == TG_OK &&
                   (op->candidate.body.id == 0 || op->candidate.body.id == id);
    if (same_id) {
        count(request, RG_EXISTING);
        reply_id(request, row->id, row->version);
        return;
    }
    bool imports = op->candidate.scope.effective.mode == TG_MODE_IMPORT;
    bool first = is_first(op, row);
    if (!may_register(request) || !stand_in_line(op))
        return;
    if (imports) /* nothing but roles counts */
        op->candidate.scope.effective.level = TG_LEVEL_NONE;
    op->checked = first && !imports; /* against none */
    if (first || (imports && tg_subject_type(op->candidate.subject).len == 0))
        write_new(request);
    else
        check(request);
}

static void on_found(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    if (!tg_request_woken(request, status, answer))
        return;
    tg_store_row_t row = tg_store_read_row(answer->results[0], 0);
    take_found(request, &row);
}

static void on_candidate(tg_request_t *request, tg_candidate_t *candidate)
{
    if (candidate->found != NULL) {
        tg_store_row_t row = tg_store_read_row(candidate->found, 0);
        take_found(request, &row);
        return;
    }
    tg_store_wanted_t wanted = {.identity = {candidate->identity.hex, TG_IDENTITY_LEN}};
    tg_store_ask_t ask = tg_request_ask(request, on_found);
    tg_request_wait(request, tg_store_find(&ask, candidate->subject, &wanted,
                                           (tg_store_form_t){.deleted = false}));
}

static void post_version(tg_http_req_t *req, void *thread_ctx)
{
    tg_request_t *request = tg_request_begin(req, thread_ctx);
    if (request == NULL || !tg_request_subject(request, 0, 0))
        return;
    if (tg_str_eq(request->context, TG_STR(TG_CONTEXT_GLOBAL))) {
        tg_request_fail(request, 42211,
                        "The context \"." TG_CONTEXT_GLOBAL
                        "\" holds settings for all contexts and no subjects.");
        return;
    }
    struct registration *op = tg_request_state(request, sizeof(*op));
    if (op == NULL)
        return;
    op->request = request;
    op->began_us = tg_time_mono_us();
    op->candidate = (tg_candidate_t){.registers = true, .done = on_candidate};
    request->dispose = dispose;
    tg_candidate_begin(request, &op->candidate);
}

// clang-format off
const tg_registry_route_t tg_registration_routes[] = {
    {"POST", "/subjects/:subject/versions", post_version, TG_REQUEST_BODY_MAX},
};
// clang-format on
const size_t tg_registration_route_count = TG_ARRAY_LEN(tg_registration_routes);
