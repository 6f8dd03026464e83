/* Running a plan over bytes.
 *
 * Fields that are the same in both schemas are only checked, and neighbours among them leave in one
 * copy: a record with a field more costs one walk, one copy and the default's bytes. Where fields
 * change places, the results are noted as spans of the output and put in order through the codec's
 * scratch. The bytes are as hostile as anywhere; recursion is bounded by TG_AVRO_DEPTH_MAX. */
#include "common/avro/resolve.h"

#include "common/avro/value/cursor.h"
#include "common/avro/value/plan.h"
#include "common/avro/value/scratch.h"

struct resolve {
    tg_avro_codec_t *codec;
    tg_avro_reader_t reader;
    tg_buf_t *out;
};

static tg_status_t run(struct resolve *x, const tg_avro_plan_node_t *node);

/* What was checked from `from` to where the reader stands. */
static void copy_from(struct resolve *x, const uint8_t *from)
{
    assert(from <= x->reader.at);
    size_t len = (size_t)(x->reader.at - from);
    char *to = tg_avro_room(x->out, len);
    if (to == NULL || len == 0)
        return;
    memcpy(to, from, len);
    x->out->len += len;
}

static tg_status_t run_copy(struct resolve *x, const tg_avro_type_t *type)
{
    const uint8_t *from = x->reader.at;
    tg_status_t status = tg_avro_skip(&x->reader, type);
    if (status == TG_OK)
        copy_from(x, from);
    return status;
}

static tg_status_t run_text(struct resolve *x)
{
    tg_str_t text = {NULL, 0};
    tg_status_t status = tg_avro_take_text(&x->reader, &text);
    if (status == TG_OK)
        tg_avro_write_bytes(x->out, text);
    return status;
}

static tg_status_t take_integer(struct resolve *x, const tg_avro_type_t *type, int64_t *out_value)
{
    const uint8_t *before = x->reader.at;
    tg_status_t status = tg_avro_take_long(&x->reader, out_value);
    if (status != TG_OK || type->kind == TG_AVRO_LONG ||
        (*out_value >= INT32_MIN && *out_value <= INT32_MAX))
        return status;
    x->reader.at = before;
    return tg_avro_reader_refuse(&x->reader, "an int of %lld", (long long)*out_value);
}

/* An int, long or float as a number. A long beyond 2^53 is rounded, as everywhere in Avro. */
static tg_status_t run_real(struct resolve *x, const tg_avro_plan_node_t *node)
{
    tg_str_t bytes = {NULL, 0};
    int64_t integer = 0;
    float narrow;
    if (node->writer->kind == TG_AVRO_FLOAT) {
        tg_status_t status = tg_avro_take_raw(&x->reader, sizeof(narrow), &bytes);
        if (status != TG_OK)
            return status;
        assert(bytes.ptr != NULL);
        memcpy(&narrow, bytes.ptr, sizeof(narrow));
        tg_avro_write_double(x->out, (double)narrow);
        return TG_OK;
    }
    tg_status_t status = take_integer(x, node->writer, &integer);
    if (status != TG_OK)
        return status;
    if (node->action == TG_AVRO_ACT_FLOAT)
        tg_avro_write_float(x->out, (float)integer);
    else
        tg_avro_write_double(x->out, (double)integer);
    return TG_OK;
}

static tg_status_t run_enum(struct resolve *x, const tg_avro_plan_node_t *node)
{
    size_t index = 0;
    if (node->writer->count == 0)
        return tg_avro_reader_refuse(&x->reader, "an enum without symbols");
    const uint8_t *before = x->reader.at;
    tg_status_t status = tg_avro_take_index(&x->reader, node->writer->count, "symbol", &index);
    if (status != TG_OK)
        return status;
    if (node->as.symbols[index] < 0) {
        x->reader.at = before;
        return tg_avro_reader_refuse(
            &x->reader,
            "expected a symbol of the reader's " TG_STR_FMT ", which has no default, got \"%.*s\"",
            TG_STR_ARG(node->reader->name),
            (int)(node->writer->symbols[index].len > 64 ? 64 : node->writer->symbols[index].len),
            node->writer->symbols[index].ptr);
    }
    tg_avro_write_long(x->out, node->as.symbols[index]);
    return TG_OK;
}

/* --- records --- */

static tg_status_t run_in_order(struct resolve *x, const tg_avro_plan_node_t *node)
{
    const uint8_t *from = x->reader.at; /* what is checked, but not yet copied, starts here */
    for (uint32_t i = 0; i < node->as.record.count; i++) {
        const tg_avro_step_t *step = &node->as.record.steps[i];
        const tg_avro_field_t *field = step->op == TG_AVRO_STEP_SKIP
                                           ? &node->writer->fields[step->field]
                                           : &node->reader->fields[step->field];
        tg_status_t status = TG_OK;
        if (step->op == TG_AVRO_STEP_FIELD && step->node->same) {
            status = tg_avro_skip(&x->reader, step->node->writer);
        } else {
            copy_from(x, from);
            if (step->op == TG_AVRO_STEP_DEFAULT)
                tg_buf_append(x->out, field->default_bytes.ptr, field->default_bytes.len);
            else if (step->op == TG_AVRO_STEP_SKIP)
                status = tg_avro_skip(&x->reader, field->type);
            else
                status = run(x, step->node);
            from = x->reader.at;
        }
        if (status != TG_OK) {
            tg_avro_error_within(x->reader.error, field->name, 0);
            return status;
        }
    }
    copy_from(x, from);
    return TG_OK;
}

/* Each field's result as [start, end) behind `start`, plus one so that 0 says "none". */
static tg_status_t run_spans(struct resolve *x, const tg_avro_plan_node_t *node, size_t start,
                             size_t base)
{
    for (uint32_t i = 0; i < node->as.record.count; i++) {
        const tg_avro_step_t *step = &node->as.record.steps[i];
        bool skip = step->op == TG_AVRO_STEP_SKIP;
        const tg_avro_field_t *field =
            skip ? &node->writer->fields[step->field] : &node->reader->fields[step->field];
        size_t before = x->out->len - start;
        tg_status_t status = skip ? tg_avro_skip(&x->reader, field->type) : run(x, step->node);
        if (status == TG_OK && x->out->len - start >= UINT32_MAX)
            status = TG_NOMEM;
        if (status != TG_OK) {
            tg_avro_error_within(x->reader.error, field->name, 0);
            return status;
        }
        if (skip)
            continue;
        x->codec->slots[base + 2 * (size_t)step->field] = (uint32_t)before + 1;
        x->codec->slots[base + 2 * (size_t)step->field + 1] = (uint32_t)(x->out->len - start) + 1;
    }
    return TG_OK;
}

/* Puts the spans, and the defaults between them, in the reader's order. */
static tg_status_t put_in_order(struct resolve *x, const tg_avro_type_t *type, size_t start,
                                size_t base)
{
    tg_buf_t *scratch = &x->codec->bytes;
    if (x->out->failed)
        return TG_NOMEM;
    for (uint32_t i = 0; i < type->count; i++) {
        uint32_t from = x->codec->slots[base + 2 * (size_t)i];
        uint32_t to = x->codec->slots[base + 2 * (size_t)i + 1];
        assert(from <= to);
        if (from == 0)
            tg_buf_str(scratch, type->fields[i].default_bytes);
        else
            tg_buf_append(scratch, x->out->data + start + from - 1, to - from);
    }
    x->out->len = start;
    if (scratch->failed)
        return TG_NOMEM;
    return TG_OK;
}

static tg_status_t run_reordered(struct resolve *x, const tg_avro_plan_node_t *node)
{
    size_t start = x->out->len, used = x->codec->bytes.len;
    size_t base = tg_avro_push_slots(x->codec, 2 * (size_t)node->reader->count);
    if (base == SIZE_MAX)
        return TG_NOMEM;
    tg_status_t status = run_spans(x, node, start, base);
    if (status == TG_OK)
        status = put_in_order(x, node->reader, start, base);
    if (status == TG_OK)
        tg_buf_append(x->out, x->codec->bytes.data + used, x->codec->bytes.len - used);
    x->codec->bytes.len = used;
    x->codec->slots_used = base;
    return status;
}

/* --- containers --- */

static tg_status_t run_item(struct resolve *x, const tg_avro_plan_node_t *node, size_t index)
{
    tg_str_t key = {NULL, 0};
    tg_status_t status = TG_OK;
    if (node->writer->kind == TG_AVRO_MAP) {
        status = tg_avro_take_text(&x->reader, &key);
        if (status != TG_OK)
            return status;
        tg_avro_write_bytes(x->out, key);
    }
    status = run(x, node->as.items);
    if (status != TG_OK)
        tg_avro_error_within(x->reader.error, key, index);
    return status;
}

/* Blocks keep their counts and lose their sizes, which may change. */
static tg_status_t run_items(struct resolve *x, const tg_avro_plan_node_t *node)
{
    size_t done = 0, count = 0;
    for (;;) {
        const uint8_t *end;
        tg_status_t status = tg_avro_read_block(&x->reader, node->writer, &count, &end);
        if (status != TG_OK)
            return status;
        tg_avro_write_long(x->out, (int64_t)count);
        if (count == 0)
            return TG_OK;
        for (size_t i = 0; i < count; i++) {
            status = run_item(x, node, done++);
            if (status != TG_OK)
                return status;
        }
        if (end != NULL && end != x->reader.at)
            return tg_avro_reader_refuse(&x->reader, "a block that does not end where it says");
    }
}

static tg_status_t run_writer_union(struct resolve *x, const tg_avro_plan_node_t *node)
{
    size_t index = 0;
    if (node->writer->count == 0)
        return tg_avro_reader_refuse(&x->reader, "a union without branches");
    tg_status_t status =
        tg_avro_take_index(&x->reader, node->writer->count, "union branch", &index);
    return status == TG_OK ? run(x, node->as.branches[index]) : status;
}

static tg_status_t run_container(struct resolve *x, const tg_avro_plan_node_t *node)
{
    switch (node->action) {
    case TG_AVRO_ACT_RECORD:
        return node->as.record.reordered ? run_reordered(x, node) : run_in_order(x, node);
    case TG_AVRO_ACT_ITEMS:
        return run_items(x, node);
    case TG_AVRO_ACT_WRITER_UNION:
        return run_writer_union(x, node);
    default:
        assert(node->action == TG_AVRO_ACT_READER_UNION);
        tg_avro_write_long(x->out, node->as.chosen.branch);
        return run(x, node->as.chosen.value);
    }
}

static tg_status_t run(struct resolve *x, const tg_avro_plan_node_t *node)
{
    if (x->out->failed)
        return TG_NOMEM;
    if (node->same)
        return run_copy(x, node->writer);
    switch (node->action) {
    case TG_AVRO_ACT_TEXT:
        return run_text(x);
    case TG_AVRO_ACT_FLOAT:
    case TG_AVRO_ACT_DOUBLE:
        return run_real(x, node);
    case TG_AVRO_ACT_ENUM:
        return run_enum(x, node);
    case TG_AVRO_ACT_REFUSE:
        return tg_avro_reader_refuse(&x->reader, "%s", node->as.why);
    default:
        break;
    }
    if (x->reader.depth == TG_AVRO_DEPTH_MAX)
        return tg_avro_reader_refuse(&x->reader, "nested deeper than %d levels", TG_AVRO_DEPTH_MAX);
    x->reader.depth++;
    tg_status_t status = run_container(x, node);
    x->reader.depth--;
    return status;
}

/* --- the whole --- */

static tg_status_t resolve(tg_avro_codec_t *codec, const tg_avro_plan_t *plan, tg_str_t bytes,
                           unsigned flags, tg_buf_t *out, tg_avro_error_t *error)
{
    assert(codec->slots_used == 0);
    assert(plan != NULL);
    struct resolve x = {.codec = codec, .out = out};
    tg_avro_reader_init(&x.reader, bytes, flags, error);
    size_t before = out->len;
    tg_status_t status = run(&x, plan->root);
    if (status == TG_OK && x.reader.at != x.reader.end)
        status = tg_avro_reader_refuse(&x.reader, "%zu bytes left over", tg_avro_left(&x.reader));
    if (status == TG_OK && out->failed)
        status = TG_NOMEM;
    if (status != TG_OK)
        out->len = before;
    return status;
}

tg_status_t tg_avro_resolve(tg_avro_codec_t *codec, const tg_avro_plan_t *plan, tg_str_t bytes,
                            unsigned flags, tg_buf_t *out, tg_avro_error_t *error)
{
    assert(codec != NULL);
    tg_status_t status = resolve(codec, plan, bytes, flags, out, error);
    tg_avro_clear_scratch(codec);
    return status;
}

tg_status_t tg_avro_resolve_json(tg_avro_codec_t *codec, const tg_avro_plan_t *plan, tg_str_t bytes,
                                 unsigned flags, tg_buf_t *out, tg_avro_error_t *error)
{
    assert(codec != NULL);
    tg_status_t status = resolve(codec, plan, bytes, flags, &codec->value, error);
    if (status == TG_OK)
        status = tg_avro_decode(plan->root->reader, tg_buf_view(&codec->value), flags, out, error);
    tg_avro_clear_scratch(codec);
    return status;
}
