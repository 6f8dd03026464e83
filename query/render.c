/* Writing JSON straight from the text cells: numbers and jsonb of PostgreSQL are JSON
 * already. */
#include "query/render.h"

#include "common/base/hash.h"

#define ENTRY_END "\"cached\":"

static void append_time(tg_buf_t *out, int64_t us)
{
    char text[TG_TIME_TEXT_MAX];
    size_t len = tg_time_format(us, text);
    tg_buf_byte(out, '"');
    tg_buf_append(out, text, len);
    tg_buf_byte(out, '"');
}

static void append_time_cell(tg_buf_t *out, tg_str_t cell)
{
    int64_t us = 0;
    if (tg_str_to_i64(cell, &us) == TG_OK)
        append_time(out, us);
    else
        tg_buf_str(out, TG_STR("null"));
}

static void append_cell(tg_buf_t *out, tg_column_type_t type, tg_str_t cell)
{
    if (cell.ptr == NULL) {
        tg_buf_str(out, TG_STR("null"));
        return;
    }
    switch (type) {
    case TG_COLUMN_TIME:
        append_time_cell(out, cell);
        return;
    case TG_COLUMN_TEXT:
        tg_buf_json_string(out, cell);
        return;
    case TG_COLUMN_NUMBER:
    case TG_COLUMN_JSON:
        tg_buf_str(out, cell);
        return;
    }
    assert(0 && "a column type without a writer");
}

static void append_item(tg_buf_t *out, const tg_shape_t *shape, const PGresult *rows, int row)
{
    tg_buf_byte(out, '{');
    assert(row < PQntuples(rows));
    for (size_t i = 0; i < shape->column_count; i++) {
        if (i > 0)
            tg_buf_byte(out, ',');
        tg_buf_byte(out, '"');
        tg_buf_str(out, tg_str_from(shape->columns[i].name));
        tg_buf_str(out, TG_STR("\":"));
        append_cell(out, shape->columns[i].type, tg_pg_text(rows, row, (int)i));
    }
    tg_buf_byte(out, '}');
}

static void append_items(tg_buf_t *out, const tg_plan_t *plan, const PGresult *rows)
{
    assert((size_t)PQnfields(rows) == plan->shape->column_count);
    tg_buf_byte(out, '{');
    if (plan->shape->bucket != NULL)
        tg_buf_printf(out, "\"bucket\":\"%s\",", plan->shape->bucket);
    tg_buf_str(out, TG_STR("\"from\":"));
    append_time(out, plan->from);
    tg_buf_str(out, TG_STR(",\"to\":"));
    append_time(out, plan->to);
    tg_buf_str(out, TG_STR(",\"items\":["));
    for (int row = 0; row < PQntuples(rows); row++) {
        if (row > 0)
            tg_buf_byte(out, ',');
        append_item(out, plan->shape, rows, row);
    }
    tg_buf_str(out, TG_STR("]"));
}

/* The tag is of the items only: it is written over its place in front once they are there. */
static void write_tag(char *place, tg_str_t items)
{
    uint8_t digest[TG_SHA256_LEN];
    tg_hash_sha256(items, digest);
    memcpy(place, "W/\"", 3);
    tg_hash_hex(digest, 8, place + 3);
    place[TG_RENDER_TAG_LEN - 1] = '"';
}

/* Where the items begin in a body that starts at `from`: the range moves with the clock and is left
 * out of the tag. */
static tg_str_t items_of(const tg_buf_t *out, size_t from)
{
    static const char mark[] = "\"items\":[";
    const char *at = memmem(out->data + from, out->len - from, mark, sizeof(mark) - 1);
    assert(at != NULL);
    return (tg_str_t){at, out->len - (size_t)(at - out->data)};
}

void tg_render_entry(const tg_plan_t *plan, const PGresult *rows, const PGresult *newest,
                     tg_buf_t *out)
{
    assert(plan->shape != NULL);
    size_t start = out->len;
    char *tag = tg_buf_reserve(out, TG_RENDER_TAG_LEN);
    if (tag == NULL)
        return;
    memset(tag, ' ', TG_RENDER_TAG_LEN);
    out->len += TG_RENDER_TAG_LEN;

    append_items(out, plan, rows);
    if (out->failed)
        return;
    write_tag(out->data + start, items_of(out, start));
    tg_buf_str(out, TG_STR(",\"freshness\":{\"newest_minute\":"));
    append_cell(out, TG_COLUMN_TIME,
                PQntuples(newest) > 0 ? tg_pg_text(newest, 0, 0) : (tg_str_t){NULL, 0});
    tg_buf_str(out, TG_STR(",\"as_of\":"));
    append_time(out, plan->now);
    tg_buf_str(out, TG_STR("," ENTRY_END));
}

static bool is_tag(const char text[TG_RENDER_TAG_LEN])
{
    for (size_t i = 3; i < TG_RENDER_TAG_LEN - 1; i++) {
        if ((text[i] < '0' || text[i] > '9') && (text[i] < 'a' || text[i] > 'f'))
            return false;
    }
    return memcmp(text, "W/\"", 3) == 0 && text[TG_RENDER_TAG_LEN - 1] == '"';
}

bool tg_render_split(tg_str_t entry, tg_str_t *out_tag, tg_str_t *out_body)
{
    assert(out_tag != NULL && out_body != NULL);
    const size_t end = sizeof(ENTRY_END) - 1;
    if (entry.len < TG_RENDER_TAG_LEN + 1 + end || !is_tag(entry.ptr) ||
        entry.ptr[TG_RENDER_TAG_LEN] != '{' ||
        memcmp(entry.ptr + entry.len - end, ENTRY_END, end) != 0)
        return false;
    *out_tag = (tg_str_t){entry.ptr, TG_RENDER_TAG_LEN};
    *out_body = (tg_str_t){entry.ptr + TG_RENDER_TAG_LEN, entry.len - TG_RENDER_TAG_LEN};
    return true;
}

/* The quoted part of the next tag in a list, and *at behind it; empty at the end or where the list
 * is malformed. */
static tg_str_t next_opaque(tg_str_t list, size_t *at)
{
    while (*at < list.len && strchr(" \t,", list.ptr[*at]) != NULL)
        (*at)++;
    if (list.len - *at >= 2 && memcmp(list.ptr + *at, "W/", 2) == 0)
        *at += 2;
    if (*at >= list.len || list.ptr[*at] != '"')
        return (tg_str_t){NULL, 0};
    const char *start = list.ptr + *at;
    const char *quote = memchr(start + 1, '"', list.len - *at - 1);
    if (quote == NULL)
        return (tg_str_t){NULL, 0};
    size_t len = (size_t)(quote - start) + 1;
    *at += len;
    return (tg_str_t){start, len};
}

bool tg_render_matches(tg_str_t if_none_match, tg_str_t tag)
{
    assert(tag.len == TG_RENDER_TAG_LEN);
    const tg_str_t opaque = {tag.ptr + 2, tag.len - 2};
    if (tg_str_eq(if_none_match, TG_STR("*")))
        return true;
    size_t at = 0;
    for (tg_str_t one; (one = next_opaque(if_none_match, &at)).len > 0;) {
        if (tg_str_eq(one, opaque))
            return true;
    }
    return false;
}

tg_str_t tg_render_end(bool cached)
{
    return cached ? TG_STR("true}}") : TG_STR("false}}");
}

void tg_render_body(tg_str_t body, bool cached, tg_buf_t *out)
{
    assert(body.len > 0);
    tg_str_t end = tg_render_end(cached);
    (void)tg_buf_reserve(out, body.len + end.len);
    tg_buf_str(out, body);
    tg_buf_str(out, end);
}
