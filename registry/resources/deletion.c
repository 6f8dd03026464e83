/* begin → on_scope → on_deleted. Whatever hinders a deletion is decided in the database, under the
 * subject's lock; here it only gets Confluent's words. */
#include "registry/resources/deletion.h"

#include "common/observe/log.h"
#include "registry/metrics.h"
#include "registry/settings/store.h"
#include "registry/store/answers.h"

struct deletion {
    bool one; /* a version, else all */
    uint32_t version;
    tg_str_t wanted; /* the version as the path has it */
    bool permanent;
};

static void fail_referenced(tg_request_t *request, tg_str_t version)
{
    tg_request_fail(request, 42206,
                    "One or more references exist to the schema {magic=1,keytype=SCHEMA,"
                    "subject=" TG_STR_FMT ",version=" TG_STR_FMT "}.",
                    TG_STR_ARG(tg_request_shown(request)), TG_STR_ARG(version));
}

static void fail_soft_deleted(tg_request_t *request, const struct deletion *op)
{
    tg_str_t subject = tg_request_shown(request);
    if (op->one)
        tg_request_fail(request, 40406,
                        "Subject '" TG_STR_FMT "' Version " TG_STR_FMT
                        " was soft deleted. Set permanent=true to delete permanently",
                        TG_STR_ARG(subject), TG_STR_ARG(op->wanted));
    else
        tg_request_fail(request, 40404,
                        "Subject '" TG_STR_FMT
                        "' was soft deleted. Set permanent=true to delete permanently",
                        TG_STR_ARG(subject));
}

static void fail_not_deleted(tg_request_t *request, const struct deletion *op, tg_str_t version)
{
    tg_str_t subject = tg_request_shown(request);
    if (op->one)
        tg_request_fail(request, 40407,
                        "Subject '" TG_STR_FMT "' Version " TG_STR_FMT
                        " was not deleted first before being permanently deleted",
                        TG_STR_ARG(subject), TG_STR_ARG(version));
    else
        tg_request_fail(request, 40405,
                        "Subject '" TG_STR_FMT
                        "' was not deleted first before being permanently deleted",
                        TG_STR_ARG(subject));
}

static void refuse(tg_request_t *request, const tg_store_deleted_t *deleted)
{
    const struct deletion *op = request->user;
    tg_metric_add(request->thread->shard, RG_DELETED, RG_NOT_DELETED, 1);
    switch (deleted->outcome) {
    case TG_STORE_NO_SUBJECT:
        tg_request_no_subject(request);
        return;
    case TG_STORE_NO_VERSION:
        tg_request_no_version(request, op->version == 0 ? TG_STR("-1") : op->wanted);
        return;
    case TG_STORE_SOFT_DELETED:
        fail_soft_deleted(request, op);
        return;
    case TG_STORE_NOT_DELETED:
        fail_not_deleted(request, op, deleted->versions);
        return;
    case TG_STORE_REFERENCED:
        fail_referenced(request, deleted->versions);
        return;
    default:
        assert(deleted->outcome == TG_STORE_RESERVED);
        tg_request_reserved(request);
    }
}

static void on_deleted(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    const struct deletion *op = request->user;
    if (!tg_request_woken(request, status, answer))
        return;
    tg_store_deleted_t deleted = tg_store_read_deleted(answer);
    if (deleted.outcome != TG_STORE_DONE) {
        refuse(request, &deleted);
        return;
    }
    if (op->permanent) /* so that this thread's next answer knows; the others look soon */
        tg_answers_deleted(request->thread->answers);
    tg_metric_add(request->thread->shard, RG_DELETED, op->permanent ? RG_PERMANENTLY : RG_SOFTLY,
                  1);
    tg_log_info("schema_versions_deleted", TG_F_STR("context", request->context),
                TG_F_STR("subject", request->subject.name), TG_F_STR("versions", deleted.versions),
                TG_F_TEXT("kind", op->permanent ? "permanent" : "soft"),
                TG_F_STR("request_id", tg_http_request_id(request->req)));
    tg_buf_t body = tg_buf_make(TG_REQUEST_ANSWER_MAX);
    tg_buf_printf(&body, op->one ? TG_STR_FMT : "[" TG_STR_FMT "]", TG_STR_ARG(deleted.versions));
    tg_request_reply(request, &body);
}

static void on_scope(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    const struct deletion *op = request->user;
    tg_scope_t scope;
    tg_error_t error = {.status = TG_OK};
    if (!tg_request_woken(request, status, answer))
        return;
    status = tg_scope_read(answer->results[0], request->context, request->subject.name,
                           request->arena, &scope);
    if (status != TG_OK) {
        tg_request_fail_store(request, status, NULL);
        return;
    }
    if (tg_mode_may_change(scope.effective.mode, tg_request_shown(request),
                           tg_request_shown_context(request), &error) != TG_OK) {
        tg_request_fail(request, 42205, "%s", error.text);
        return;
    }
    tg_store_ask_t ask = tg_request_ask(request, on_deleted);
    tg_request_wait(request, tg_store_delete(&ask, request->subject.name,
                                             op->one ? &op->version : NULL, op->permanent));
}

void tg_deletion_begin(tg_request_t *request, tg_str_t version)
{
    struct deletion *op = tg_request_state(request, sizeof(*op));
    if (op == NULL)
        return;
    op->one = version.ptr != NULL;
    op->wanted = version;
    op->permanent = tg_request_flag(request, "permanent");
    if (op->one && !tg_request_version(request, version, &op->version))
        return;
    tg_store_ask_t ask = tg_request_ask(request, on_scope);
    tg_pg_stmt_t stmt = tg_scope_stmt(request->context, request->subject.name);
    tg_request_wait(request,
                    tg_pg_call(ask.pool, NULL, &stmt, 1, ask.deadline_at_ms, ask.done, ask.arg));
}
