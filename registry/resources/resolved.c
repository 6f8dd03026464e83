/* answer → on_closure. */
#include "registry/resources/resolved.h"

#include <stdio.h>

#include "common/avro/print.h"
#include "registry/references.h"

#define TEXT_MAX ((size_t)TG_CLOSURE_BYTES_MAX * 2)

struct resolving {
    tg_store_row_t row; /* copied */
    uint32_t id;
    tg_resolved_fn answer;
};

tg_format_t tg_request_format(const tg_request_t *request)
{
    tg_str_t text = tg_request_text(request, "format", 0);
    if (tg_str_eq(text, TG_STR("original")))
        return TG_FORMAT_ORIGINAL;
    return tg_str_eq(text, TG_STR("resolved")) ? TG_FORMAT_RESOLVED : TG_FORMAT_PRINTED;
}

static void fail(tg_request_t *request, tg_status_t status, const tg_error_t *error)
{
    if (status == TG_NOMEM)
        tg_request_fail_store(request, status, NULL);
    else
        tg_request_fail(request, 50001, "%s", error->text);
}

static tg_status_t write_out(const struct resolving *op, const PGresult *rows,
                             tg_closure_t *closure, tg_buf_t *text, tg_error_t *error)
{
    tg_status_t status = tg_closure_parse(rows, closure, error);
    const tg_avro_schema_t *schema = tg_closure_find(closure, op->id);
    if (status == TG_OK && schema == NULL) /* deleted meanwhile */
        status = tg_error_set(error, TG_NOT_FOUND, "the schema %u is gone", op->id);
    return status == TG_OK ? tg_avro_print_resolved(schema, text) : status;
}

static void on_closure(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    struct resolving *op = request->waiting;
    tg_error_t error = {.status = TG_OK};
    if (!tg_request_woken(request, status, answer))
        return;
    tg_closure_t *closure = tg_arena_alloc(request->arena, sizeof(*closure));
    tg_buf_t text = tg_buf_make(TEXT_MAX);
    status = closure == NULL ? TG_NOMEM : write_out(op, answer->results[0], closure, &text, &error);
    if (closure != NULL)
        tg_closure_dispose(closure);
    if (status == TG_OK) {
        op->row.schema = tg_arena_copy(request->arena, tg_buf_view(&text));
        op->row.references = (tg_str_t){NULL, 0};
        status = op->row.schema.ptr == NULL ? TG_NOMEM : TG_OK;
    }
    tg_buf_dispose(&text);
    if (status == TG_OK)
        op->answer(request, &op->row);
    else
        fail(request, status, &error);
}

/* The row's texts are the result's, which goes. */
static bool keep(tg_request_t *request, const tg_store_row_t *row, struct resolving *op)
{
    op->row = *row;
    tg_str_t *texts[] = {&op->row.context, &op->row.subject, &op->row.id,
                         &op->row.version, &op->row.guid,    &op->row.metadata};
    for (size_t i = 0; i < TG_ARRAY_LEN(texts); i++) {
        if (texts[i]->ptr == NULL)
            continue;
        *texts[i] = tg_arena_copy(request->arena, *texts[i]);
        if (texts[i]->ptr == NULL)
            return false;
    }
    return true;
}

void tg_resolved_answer(tg_request_t *request, const tg_store_row_t *row, tg_format_t format,
                        tg_resolved_fn answer)
{
    assert(row->found);
    if (format != TG_FORMAT_RESOLVED || row->references.ptr == NULL) {
        answer(request, row);
        return;
    }
    uint64_t id = 0;
    char ids[24];
    struct resolving *op = tg_arena_alloc(request->arena, sizeof(*op));
    if (op == NULL || !keep(request, row, op) || tg_str_to_u64(row->id, &id) != TG_OK) {
        tg_request_fail_store(request, TG_NOMEM, NULL);
        return;
    }
    op->id = (uint32_t)id;
    op->answer = answer;
    request->waiting = op;
    int len = snprintf(ids, sizeof(ids), "{%u}", op->id);
    tg_store_ask_t ask = tg_request_ask(request, on_closure);
    tg_pg_stmt_t stmt = tg_closure_stmt((tg_str_t){ids, (size_t)len});
    tg_request_wait(request,
                    tg_pg_call(ask.pool, NULL, &stmt, 1, ask.deadline_at_ms, ask.done, ask.arg));
}
