/* Copies a call's parameters behind its struct; each ends in NUL, as libpq's text format wants.
 *
 * A NUL inside a parameter would silently cut it there, so it is refused here.
 *
 * Threads: any. */
#include "common/pg/call.h"

#include <stdlib.h>

static bool add_text(const tg_str_t *text, size_t *bytes)
{
    if (text->len >= TG_PG_CALL_BYTES_MAX - *bytes)
        return false;
    *bytes += text->len + 1;
    return true;
}

static bool measure(const tg_str_t *tenant, const tg_pg_stmt_t *stmts, size_t count,
                    size_t *out_bytes)
{
    *out_bytes = 0;
    if (tenant != NULL && !add_text(tenant, out_bytes))
        return false;
    for (size_t i = 0; i < count; i++) {
        assert(stmts[i].sql != NULL);
        assert(stmts[i].param_count <= TG_PG_PARAMS_MAX);
        for (size_t p = 0; p < stmts[i].param_count; p++) {
            if (!add_text(&stmts[i].params[p], out_bytes))
                return false;
        }
    }
    return true;
}

static const char *copy_text(tg_str_t text, char **at, bool *holds_nul)
{
    char *start = *at;
    if (text.len > 0) {
        memcpy(start, text.ptr, text.len);
        *holds_nul = *holds_nul || memchr(start, '\0', text.len) != NULL;
    }
    start[text.len] = '\0';
    *at += text.len + 1;
    return start;
}

tg_status_t tg_pg_call_make(const tg_str_t *tenant, const tg_pg_stmt_t *stmts, size_t count,
                            tg_pg_call_t **out_call)
{
    assert(count >= 1);
    assert(count <= TG_PG_STATEMENTS_MAX);
    size_t bytes = 0;
    bool fits = measure(tenant, stmts, count, &bytes);
    size_t head = sizeof(tg_pg_call_t) + count * sizeof(((tg_pg_call_t *)NULL)->stmts[0]);
    tg_pg_call_t *call = calloc(1, head + (fits ? bytes : 0));
    if (call == NULL)
        return TG_NOMEM;
    *out_call = call;
    if (!fits)
        return TG_TOO_LARGE;

    char *at = (char *)call + head;
    bool holds_nul = false;
    call->count = count;
    if (tenant != NULL)
        call->tenant = copy_text(*tenant, &at, &holds_nul);
    for (size_t i = 0; i < count; i++) {
        call->stmts[i].sql = stmts[i].sql;
        call->stmts[i].param_count = (int)stmts[i].param_count;
        for (size_t p = 0; p < stmts[i].param_count; p++) {
            tg_str_t param = stmts[i].params[p];
            if (param.ptr != NULL)
                call->stmts[i].values[p] = copy_text(param, &at, &holds_nul);
        }
    }
    assert(at <= (char *)call + head + bytes);
    return holds_nul ? TG_INVALID : TG_OK;
}
