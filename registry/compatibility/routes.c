/* POST /compatibility/subjects/:subject/versions and …/versions/:version: candidate → on_checked
 * (→ once more in the default context, where a tenant asks about a subject that it only sees).
 *
 * With a version the schema is compared with that one only, else with those that the level looks
 * at, as a registration is. A subject that has no version takes any schema, except when a version
 * was named by number. */
#include "registry/routes.h"
#include "registry/compatibility/check.h"
#include "registry/metrics.h"
#include "registry/resources/candidate.h"

struct test {
    tg_candidate_t candidate;
    tg_check_t *check;
    tg_str_t context; /* that is looked in */
    bool one;         /* a version is named: */
    uint32_t version; /* 0: the newest */
    tg_str_t named;   /* as the path has it */
};

static void dispose(tg_request_t *request)
{
    struct test *test = request->user;
    tg_candidate_dispose(&test->candidate);
}

static void cancel_check(void *arg)
{
    struct test *test = arg;
    tg_check_cancel(test->check);
}

static void count(tg_request_t *request, unsigned result)
{
    tg_metric_add(request->thread->shard, RG_TESTS, result, 1);
}

static void reply(tg_request_t *request, const tg_findings_t *findings)
{
    count(request, findings->count == 0 ? RG_COMPATIBLE : RG_INCOMPATIBLE);
    tg_buf_t body = tg_buf_make(TG_REQUEST_ANSWER_MAX);
    tg_buf_printf(&body, "{\"is_compatible\":%s", findings->count == 0 ? "true" : "false");
    if (tg_request_flag(request, "verbose")) {
        tg_buf_str(&body, TG_STR(",\"messages\":"));
        tg_findings_write_json(findings, &body);
    }
    tg_buf_byte(&body, '}');
    tg_request_reply(request, &body);
}

static void check(tg_request_t *request);

static void on_checked(void *arg, tg_status_t status, const tg_pg_answer_t *answer,
                       const tg_check_result_t *result)
{
    tg_request_t *request = arg;
    struct test *test = request->user;
    test->check = NULL;
    tg_request_settle(request);
    if (status != TG_OK) {
        count(request, RG_TEST_FAILED);
        tg_request_fail_store(request, status, answer);
        return;
    }
    if (!result->subject_known && !tg_str_eq(test->context, request->behind)) {
        test->context = request->behind;
        check(request);
    } else if (test->version > 0 && !result->subject_known) {
        tg_request_no_subject(request);
    } else if (test->version > 0 && !result->version_known) {
        tg_request_no_version(request, test->named);
    } else {
        reply(request, &result->findings);
    }
}

static void check(tg_request_t *request)
{
    struct test *test = request->user;
    const tg_candidate_t *candidate = &test->candidate;
    tg_check_ask_t ask = {
        .loop = request->thread->loop,
        .pool = request->thread->pool,
        .cache = request->thread->parsed,
        .arena = request->arena,
        .deadline_at_ms = tg_request_deadline(request),
        .context = test->context,
        .subject = candidate->subject,
        .scope = &candidate->scope,
        .root = tg_avro_schema_root(candidate->schema),
        .metadata = candidate->metadata,
        .version = test->version,
        .newest_only = test->one,
        .keeps_roles = tg_subject_type(candidate->subject).len > 0,
        .done = on_checked,
        .arg = request,
    };
    test->check = tg_check_start(&ask);
    if (test->check == NULL)
        tg_request_fail_store(request, TG_NOMEM, NULL);
    else
        tg_request_wait_other(request, cancel_check, test);
}

static void on_candidate(tg_request_t *request, tg_candidate_t *candidate)
{
    (void)candidate;
    check(request);
}

static void begin(tg_http_req_t *req, void *thread_ctx, bool one)
{
    tg_request_t *request = tg_request_begin(req, thread_ctx);
    if (request == NULL || !tg_request_subject(request, 0, 0))
        return;
    struct test *test = tg_request_state(request, sizeof(*test));
    if (test == NULL)
        return;
    test->one = one;
    if (one) {
        test->named = tg_request_segment(request, 1);
        if (!tg_request_version(request, test->named, &test->version))
            return;
    }
    test->context = request->context;
    test->candidate.done = on_candidate;
    request->dispose = dispose;
    tg_candidate_begin(request, &test->candidate);
}

static void post_all(tg_http_req_t *req, void *thread_ctx)
{
    begin(req, thread_ctx, false);
}

static void post_one(tg_http_req_t *req, void *thread_ctx)
{
    begin(req, thread_ctx, true);
}

const tg_registry_route_t tg_compatibility_routes[] = {
    {"POST", "/compatibility/subjects/:subject/versions", post_all, TG_REQUEST_BODY_MAX},
    {"POST", "/compatibility/subjects/:subject/versions/:version", post_one, TG_REQUEST_BODY_MAX},
};
const size_t tg_compatibility_route_count = TG_ARRAY_LEN(tg_compatibility_routes);
