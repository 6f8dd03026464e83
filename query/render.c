/* Writing JSON straight from the text cells: numbers of PostgreSQL are JSON numbers already. */
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
        tg_buf_str(out, cell);
        return;
    }
    assert(!"a column type without a writer");
}

static void append_item(tg_buf_t *out, const tg_shape_t *shape, const PGresult *rows, int row)
{
    tg_buf_byte(out, '{');
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

bool tg_render_split(tg_str_t entry, tg_str_t *out_tag, tg_str_t *out_body)
{
    const size_t end = sizeof(ENTRY_END) - 1;
    if (entry.len < TG_RENDER_TAG_LEN + end || memcmp(entry.ptr, "W/\"", 3) != 0 ||
        memcmp(entry.ptr + entry.len - end, ENTRY_END, end) != 0)
        return false;
    *out_tag = (tg_str_t){entry.ptr, TG_RENDER_TAG_LEN};
    *out_body = (tg_str_t){entry.ptr + TG_RENDER_TAG_LEN, entry.len - TG_RENDER_TAG_LEN};
    return true;
}

void tg_render_body(tg_str_t body, bool cached, tg_buf_t *out)
{
    tg_buf_str(out, body);
    tg_buf_str(out, cached ? TG_STR("true}}") : TG_STR("false}}"));
}
