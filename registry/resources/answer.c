/* Members in the order in which Confluent's registry writes them. */
#include "registry/resources/answer.h"

static void add_json(tg_buf_t *out, const char *name, tg_str_t json)
{
    if (json.ptr == NULL)
        return;
    tg_buf_printf(out, ",\"%s\":", name);
    tg_buf_str(out, json);
}

static void add_text(tg_buf_t *out, const char *name, tg_str_t text)
{
    if (text.ptr == NULL)
        return;
    tg_buf_printf(out, ",\"%s\":", name);
    tg_buf_json_string(out, text);
}

void tg_answer_version(const tg_request_t *request, const tg_store_row_t *row, tg_buf_t *out)
{
    assert(row->found);
    tg_buf_str(out, TG_STR("{\"subject\":"));
    tg_context_print_subject(&request->viewer, row->context, row->subject, out);
    add_json(out, "version", row->version);
    add_json(out, "id", row->id);
    add_text(out, "guid", row->guid);
    add_json(out, "references", row->references);
    add_json(out, "metadata", row->metadata);
    add_text(out, "schema", row->schema);
    tg_buf_str(out, row->deleted ? TG_STR(",\"deleted\":true}") : TG_STR("}"));
}

void tg_answer_schema(const tg_store_row_t *row, tg_str_t max_id, tg_buf_t *out)
{
    assert(row->found);
    tg_buf_str(out, TG_STR("{\"schema\":"));
    tg_buf_json_string(out, row->schema);
    add_json(out, "references", row->references);
    add_json(out, "metadata", row->metadata);
    add_text(out, "guid", row->guid);
    if (max_id.len > 0)
        add_json(out, "maxId", max_id);
    tg_buf_byte(out, '}');
}
