/* Random schemas and values against libavro: our bytes must be the same as its bytes, come back as
 * the same value, and become the same bytes for a reader with another schema: widened numbers,
 * fields in another order or left out. libavro serves as the oracle only for what is valid: it is
 * fed schemas that our linter has passed and values that fit them (on hostile input it crashes).
 *
 * Left out: logical types (libavro drops them) and absent fields (it has no defaults); the codec's
 * unit tests cover those. TIDEGATE_TEST_SEED repeats a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "common/avro/resolve.h"
#include "common/avro/value/base64.h"

#ifndef TG_HAVE_AVRO

static void libavro_is_missing(void **state)
{
    (void)state;
    print_message("libavro (avro-c) is not installed: nothing to compare with\n");
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(libavro_is_missing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

#include <avro.h>

/* libavro's macros call through a table that the analyser cannot see filled. */
// NOLINTBEGIN(clang-analyzer-core.NullDereference)

#define SCHEMAS           400
#define VALUES_PER_SCHEMA 5
#define DEPTH_MAX         4

static uint64_t random_state;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static unsigned random_below(unsigned n)
{
    return (unsigned)(random_next() >> 11) % n;
}

/* --- schemas --- */

struct generator {
    tg_buf_t *out;
    unsigned named;       /* r0, e1, f2, … */
    char records[32][16]; /* whose definition has begun: may be referred to */
    unsigned record_count;
    bool reader;     /* the same schema again, changed as its reader may */
    unsigned nested; /* types other than plain ones so far */
};

static void put_type(struct generator *g, unsigned depth);

/* Puts a record's first field last, or leaves it out; `starts` says where each field begins. */
static void change_fields(struct generator *g, const size_t *starts, unsigned fields)
{
    char moved[1024];
    size_t first = starts[1] - starts[0], rest = g->out->len - starts[1];
    assert_true(fields >= 2 && first + rest < sizeof(moved));
    memcpy(moved, g->out->data + starts[1], rest);
    memcpy(moved + rest, g->out->data + starts[0], first);
    g->out->len = starts[0];
    tg_buf_append(g->out, moved, rest);
    if (fields % 2 == 0)
        return;
    tg_buf_byte(g->out, ',');
    tg_buf_append(g->out, moved + rest, first - 1); /* without its comma */
}

static void put_record(struct generator *g, unsigned depth)
{
    unsigned id = g->named++, fields = random_below(5);
    unsigned known = g->record_count;
    unsigned nested = ++g->nested;
    size_t starts[5];
    tg_buf_printf(g->out, "{\"type\":\"record\",\"name\":\"r%u\",\"fields\":[", id);
    for (unsigned i = 0; i < fields; i++) {
        if (i > 0)
            tg_buf_byte(g->out, ',');
        starts[i] = g->out->len;
        tg_buf_printf(g->out, "{\"name\":\"f%u\",\"type\":", i);
        put_type(g, depth + 1);
        tg_buf_byte(g->out, '}');
    }
    /* What is defined within a field must stay before what refers to it: only plain ones move. */
    if (g->reader && g->nested == nested && fields >= 2)
        change_fields(g, starts, fields);
    tg_buf_append(g->out, "]}", 2);
    if (known < 32) {
        g->record_count = known + 1;
        snprintf(g->records[known], sizeof(g->records[known]), "r%u", id);
    }
}

/* A list that is made of itself, the one recursion that always ends. */
static void put_recursive(struct generator *g)
{
    unsigned id = g->named++;
    tg_buf_printf(
        g->out,
        "{\"type\":\"record\",\"name\":\"r%u\",\"fields\":[{\"name\":\"v\",\"type\":\"int\"},"
        "{\"name\":\"next\",\"type\":[\"null\",\"r%u\"]},"
        "{\"name\":\"all\",\"type\":{\"type\":\"array\",\"items\":\"r%u\"}}]}",
        id, id, id);
}

static void put_union(struct generator *g, unsigned depth)
{
    /* One type of each kind at most, in a random rotation. */
    unsigned start = random_below(7), count = 1 + random_below(5);
    tg_buf_byte(g->out, '[');
    for (unsigned i = 0; i < count; i++) {
        if (i > 0)
            tg_buf_byte(g->out, ',');
        switch ((start + i) % 7) {
        case 0:
            tg_buf_str(g->out, TG_STR("\"null\""));
            break;
        case 1:
            tg_buf_str(g->out, TG_STR("\"long\""));
            break;
        case 2:
            tg_buf_str(g->out, TG_STR("\"string\""));
            break;
        case 3:
            tg_buf_str(g->out, TG_STR("\"boolean\""));
            break;
        case 4:
            tg_buf_str(g->out, TG_STR("\"double\""));
            break;
        case 5:
            put_record(g, depth + 1);
            break;
        default:
            tg_buf_str(g->out, TG_STR("{\"type\":\"array\",\"items\":\"int\"}"));
        }
    }
    tg_buf_byte(g->out, ']');
}

static void put_named(struct generator *g, unsigned depth)
{
    switch (random_below(4)) {
    case 0:
        tg_buf_printf(g->out,
                      "{\"type\":\"enum\",\"name\":\"e%u\",\"symbols\":[\"A\",\"B\",\"C_3\"]}",
                      g->named++);
        break;
    case 1:
        tg_buf_printf(g->out, "{\"type\":\"fixed\",\"name\":\"x%u\",\"size\":%u}", g->named,
                      1 + random_below(20));
        g->named++;
        break;
    case 2:
        if (g->record_count > 0) {
            tg_buf_printf(g->out, "\"%s\"", g->records[random_below(g->record_count)]);
            break;
        }
        put_recursive(g);
        break;
    default:
        put_record(g, depth);
    }
}

static void put_type(struct generator *g, unsigned depth)
{
    static const char *const simple[] = {"null",  "boolean", "int",   "long",
                                         "float", "double",  "bytes", "string"};
    /* What a reader may take each of them for. */
    static const char *const wider[] = {"null",   "boolean", "long",  "double",
                                        "double", "double",  "bytes", "string"};
    unsigned pick = depth >= DEPTH_MAX ? 0 : random_below(8);
    g->nested += pick >= 3;
    if (pick < 3) {
        unsigned type = random_below(8);
        tg_buf_printf(g->out, "\"%s\"", g->reader ? wider[type] : simple[type]);
    } else if (pick < 5) {
        put_named(g, depth + 1);
    } else if (pick == 5) {
        put_union(g, depth + 1);
    } else {
        tg_buf_printf(g->out, pick == 6 ? "{\"type\":\"array\",\"items\":"
                                        : "{\"type\":\"map\",\"values\":");
        put_type(g, depth + 1);
        tg_buf_byte(g->out, '}');
    }
}

/* --- values, as JSON text --- */

static void put_text(tg_buf_t *out, unsigned len)
{
    char bytes[256];
    size_t n = 0;
    for (unsigned i = 0; i < len; i++) {
        unsigned code = 1 + random_below(0x7ff);
        if (code < 0x80) {
            bytes[n++] = (char)code;
        } else {
            bytes[n++] = (char)(0xc0 | code >> 6);
            bytes[n++] = (char)(0x80 | (code & 0x3f));
        }
    }
    tg_buf_json_string(out, (tg_str_t){bytes, n});
}

static void put_bytes(tg_buf_t *out, unsigned len)
{
    char bytes[256];
    for (unsigned i = 0; i < len; i++)
        bytes[i] = (char)random_below(256);
    tg_avro_base64_write((tg_str_t){bytes, len}, out);
}

static void put_integer(tg_buf_t *out, bool wide)
{
    static const int64_t edges[] = {0, -1, 1, 63, 64, -64, -65, INT32_MIN, INT32_MAX};
    static const int64_t wide_edges[] = {INT64_MIN, INT64_MAX};
    if (wide && random_below(6) == 0)
        tg_buf_i64(out, wide_edges[random_below(2)]);
    else if (random_below(2) == 0)
        tg_buf_i64(out, edges[random_below(TG_ARRAY_LEN(edges))]);
    else
        tg_buf_i64(out, wide ? (int64_t)random_next() : (int64_t)(int32_t)random_next());
}

static void put_value(tg_buf_t *out, const tg_avro_type_t *type, unsigned depth);

static void put_real(tg_buf_t *out)
{
    double value = (double)(int64_t)random_next() / (double)(1 + random_below(1000000));
    tg_buf_json_double(out, random_below(4) == 0 ? 0 : value);
}

static void put_items(tg_buf_t *out, const tg_avro_type_t *type, unsigned depth)
{
    /* libavro cannot append items of no bytes (it takes malloc(0) for a failure). */
    unsigned count = depth > 6 || type->items->may_be_empty ? 0 : random_below(4);
    bool map = type->kind == TG_AVRO_MAP;
    tg_buf_byte(out, map ? '{' : '[');
    for (unsigned i = 0; i < count; i++) {
        if (i > 0)
            tg_buf_byte(out, ',');
        if (map)
            tg_buf_printf(out, "\"k%u\":", i);
        put_value(out, type->items, depth + 1);
    }
    tg_buf_byte(out, map ? '}' : ']');
}

/* Members in a random rotation: the order must not matter. */
static void put_members(tg_buf_t *out, const tg_avro_type_t *type, unsigned depth)
{
    unsigned start = type->count == 0 ? 0 : random_below(type->count);
    tg_buf_byte(out, '{');
    for (uint32_t i = 0; i < type->count; i++) {
        const tg_avro_field_t *field = &type->fields[(start + i) % type->count];
        if (i > 0)
            tg_buf_byte(out, ',');
        tg_buf_json_string(out, field->name);
        tg_buf_byte(out, ':');
        put_value(out, field->type, depth + 1);
    }
    tg_buf_byte(out, '}');
}

static const tg_avro_type_t *any_branch(const tg_avro_type_t *type, unsigned depth)
{
    for (uint32_t i = 0; depth > 6 && i < type->count; i++) {
        if (type->branches[i]->kind == TG_AVRO_NULL)
            return type->branches[i]; /* let recursion end */
    }
    return type->branches[random_below(type->count)];
}

static void put_value(tg_buf_t *out, const tg_avro_type_t *type, unsigned depth)
{
    switch (type->kind) {
    case TG_AVRO_NULL:
        tg_buf_str(out, TG_STR("null"));
        break;
    case TG_AVRO_BOOLEAN:
        tg_buf_str(out, random_below(2) == 0 ? TG_STR("true") : TG_STR("false"));
        break;
    case TG_AVRO_INT:
    case TG_AVRO_LONG:
        put_integer(out, type->kind == TG_AVRO_LONG);
        break;
    case TG_AVRO_FLOAT:
    case TG_AVRO_DOUBLE:
        put_real(out);
        break;
    case TG_AVRO_BYTES:
        put_bytes(out, random_below(100));
        break;
    case TG_AVRO_STRING:
        put_text(out, random_below(100));
        break;
    case TG_AVRO_FIXED:
        put_bytes(out, type->size);
        break;
    case TG_AVRO_ENUM:
        tg_buf_json_string(out, type->symbols[random_below(type->count)]);
        break;
    case TG_AVRO_RECORD:
        put_members(out, type, depth);
        break;
    case TG_AVRO_UNION:
        put_value(out, any_branch(type, depth), depth + 1);
        break;
    default:
        put_items(out, type, depth);
    }
}

/* --- the same value in libavro's hands --- */

static void fill(avro_value_t *to, const tg_avro_type_t *type, const tg_json_node_t *nodes,
                 size_t at);

static void fill_items(avro_value_t *to, const tg_avro_type_t *type, const tg_json_node_t *nodes,
                       size_t at)
{
    size_t child = at + 1;
    for (uint32_t i = 0; i < nodes[at].count; i++) {
        avro_value_t item;
        char key[64];
        if (type->kind == TG_AVRO_ARRAY) {
            assert_int_equal(avro_value_append(to, &item, NULL), 0);
        } else {
            snprintf(key, sizeof(key), TG_STR_FMT, TG_STR_ARG(nodes[child].key));
            assert_int_equal(avro_value_add(to, key, &item, NULL, NULL), 0);
        }
        fill(&item, type->items, nodes, child);
        child = nodes[child].next;
    }
}

static void fill_members(avro_value_t *to, const tg_avro_type_t *type, const tg_json_node_t *nodes,
                         size_t at)
{
    size_t child = at + 1;
    for (uint32_t i = 0; i < nodes[at].count; i++) {
        avro_value_t member;
        int field = tg_avro_type_find(type, nodes[child].key);
        assert_true(field >= 0);
        assert_int_equal(avro_value_get_by_index(to, (size_t)field, &member, NULL), 0);
        fill(&member, type->fields[field].type, nodes, child);
        child = nodes[child].next;
    }
}

static void fill_union(avro_value_t *to, const tg_avro_type_t *type, const tg_json_node_t *nodes,
                       size_t at)
{
    avro_value_t branch;
    int index = tg_avro_union_pick(type, nodes, at);
    assert_true(index >= 0);
    assert_int_equal(avro_value_set_branch(to, index, &branch), 0);
    fill(&branch, type->branches[index], nodes, at);
}

static size_t to_bytes(tg_str_t text, char *out, size_t size)
{
    tg_buf_t bytes = {.data = out, .cap = size, .max = size};
    assert_true(tg_avro_base64_len(text) >= 0);
    tg_avro_base64_read(text, &bytes);
    assert_false(bytes.failed);
    return bytes.len;
}

static double number_of(const tg_json_node_t *node)
{
    if (node->type == TG_JSON_DOUBLE)
        return node->value.real;
    return node->type == TG_JSON_INT ? (double)node->value.integer : (double)node->value.uinteger;
}

static int64_t integer_of(const tg_json_node_t *node)
{
    return node->type == TG_JSON_INT ? node->value.integer : (int64_t)node->value.real;
}

static int fill_scalar(avro_value_t *to, const tg_avro_type_t *type, const tg_json_node_t *node)
{
    char bytes[256];
    switch (type->kind) {
    case TG_AVRO_NULL:
        return avro_value_set_null(to);
    case TG_AVRO_BOOLEAN:
        return avro_value_set_boolean(to, node->type == TG_JSON_TRUE);
    case TG_AVRO_INT:
        return avro_value_set_int(to, (int32_t)integer_of(node));
    case TG_AVRO_LONG:
        return avro_value_set_long(to, integer_of(node));
    case TG_AVRO_FLOAT:
        return avro_value_set_float(to, (float)number_of(node));
    case TG_AVRO_DOUBLE:
        return avro_value_set_double(to, number_of(node));
    case TG_AVRO_BYTES:
        return avro_value_set_bytes(to, bytes, to_bytes(node->value.text, bytes, sizeof(bytes)));
    case TG_AVRO_FIXED:
        return avro_value_set_fixed(to, bytes, to_bytes(node->value.text, bytes, sizeof(bytes)));
    case TG_AVRO_ENUM:
        return avro_value_set_enum(to, tg_avro_type_find(type, node->value.text));
    default:
        memcpy(bytes, node->value.text.ptr, node->value.text.len);
        bytes[node->value.text.len] = '\0';
        return avro_value_set_string_len(to, bytes, node->value.text.len + 1);
    }
}

static void fill(avro_value_t *to, const tg_avro_type_t *type, const tg_json_node_t *nodes,
                 size_t at)
{
    switch (type->kind) {
    case TG_AVRO_ARRAY:
    case TG_AVRO_MAP:
        fill_items(to, type, nodes, at);
        break;
    case TG_AVRO_RECORD:
        fill_members(to, type, nodes, at);
        break;
    case TG_AVRO_UNION:
        fill_union(to, type, nodes, at);
        break;
    default:
        assert_int_equal(fill_scalar(to, type, &nodes[at]), 0);
    }
}

/* --- the comparison --- */

struct fixture {
    tg_json_parser_t *parser;
    tg_avro_codec_t *codec;
    tg_buf_t schema_text, reader_text, json, ours, back, again;
    tg_avro_plan_t *plan;       /* for the reader */
    avro_value_iface_t *reader; /* libavro's way to the same */
    size_t values, bytes, resolved;
};

static void parse_json(struct fixture *f, const tg_buf_t *text, const tg_json_node_t **nodes)
{
    tg_error_t error;
    size_t count;
    if (tg_json_parse(f->parser, tg_buf_view(text), nodes, &count, &error) != TG_OK)
        fail_msg("%s in %.*s", error.text, (int)text->len, text->data);
}

static void compare_resolved(struct fixture *f, avro_value_t *written)
{
    static char theirs[1 << 20];
    avro_value_t value;
    tg_avro_error_t error = {0};
    assert_int_equal(avro_resolved_reader_new_value(f->reader, &value), 0);
    avro_resolved_reader_set_source(&value, written);
    avro_writer_t writer = avro_writer_memory(theirs, sizeof(theirs));
    if (avro_value_write(writer, &value) != 0)
        fail_msg("libavro: %s; reader %.*s", avro_strerror(), (int)f->reader_text.len,
                 f->reader_text.data);
    tg_str_t resolved = {theirs, (size_t)avro_writer_tell(writer)};
    tg_buf_clear(&f->again);
    if (tg_avro_resolve(f->codec, f->plan, tg_buf_view(&f->ours), 0, &f->again, &error) != TG_OK)
        fail_msg("%s: %s; reader %.*s", error.path, error.message, (int)f->reader_text.len,
                 f->reader_text.data);
    if (!tg_str_eq(resolved, tg_buf_view(&f->again)))
        fail_msg("libavro resolves to %zu bytes, we to %zu; schema %.*s reader %.*s value %.*s",
                 resolved.len, f->again.len, (int)f->schema_text.len, f->schema_text.data,
                 (int)f->reader_text.len, f->reader_text.data, (int)f->json.len, f->json.data);
    avro_writer_free(writer);
    avro_value_decref(&value);
}

static void compare_with_libavro(struct fixture *f, const tg_avro_type_t *type,
                                 avro_value_iface_t *iface, const tg_json_node_t *nodes)
{
    static char theirs[1 << 20];
    avro_value_t value;
    assert_int_equal(avro_generic_value_new(iface, &value), 0);
    fill(&value, type, nodes, 0);
    avro_writer_t writer = avro_writer_memory(theirs, sizeof(theirs));
    if (avro_value_write(writer, &value) != 0)
        fail_msg("libavro: %s; schema %.*s value %.*s", avro_strerror(), (int)f->schema_text.len,
                 f->schema_text.data, (int)f->json.len, f->json.data);
    size_t len = (size_t)avro_writer_tell(writer);
    if (len != f->ours.len || (len > 0 && memcmp(theirs, f->ours.data, len) != 0))
        fail_msg("libavro writes %zu bytes, we %zu; schema %.*s value %.*s", len, f->ours.len,
                 (int)f->schema_text.len, f->schema_text.data, (int)f->json.len, f->json.data);
    avro_writer_free(writer);
    if (f->reader != NULL)
        compare_resolved(f, &value);
    avro_value_decref(&value);
}

/* Both forms of JSON lead back to the same bytes. */
static void check_round_trip(struct fixture *f, const tg_avro_type_t *type, unsigned flags)
{
    const tg_json_node_t *nodes;
    tg_avro_error_t error = {0};
    tg_buf_clear(&f->back);
    tg_buf_clear(&f->again);
    if (tg_avro_decode(type, tg_buf_view(&f->ours), flags, &f->back, &error) != TG_OK)
        fail_msg("%s: %s; value %.*s", error.path, error.message, (int)f->json.len, f->json.data);
    parse_json(f, &f->back, &nodes);
    if (tg_avro_encode(f->codec, type, nodes, 0, flags, &f->again, &error) != TG_OK)
        fail_msg("%s: %s; value %.*s", error.path, error.message, (int)f->back.len, f->back.data);
    if (!tg_str_eq(tg_buf_view(&f->ours), tg_buf_view(&f->again)))
        fail_msg("not the same after a round trip; schema %.*s value %.*s became %.*s",
                 (int)f->schema_text.len, f->schema_text.data, (int)f->json.len, f->json.data,
                 (int)f->back.len, f->back.data);
}

static void check_value(struct fixture *f, const tg_avro_type_t *type, avro_value_iface_t *iface)
{
    const tg_json_node_t *nodes;
    tg_avro_error_t error = {0};
    tg_buf_clear(&f->json);
    tg_buf_clear(&f->ours);
    put_value(&f->json, type, 0);
    assert_false(f->json.failed);
    parse_json(f, &f->json, &nodes);
    if (tg_avro_encode(f->codec, type, nodes, 0, 0, &f->ours, &error) != TG_OK)
        fail_msg("%s: %s; schema %.*s value %.*s", error.path, error.message,
                 (int)f->schema_text.len, f->schema_text.data, (int)f->json.len, f->json.data);
    compare_with_libavro(f, type, iface, nodes);
    check_round_trip(f, type, 0);
    check_round_trip(f, type, TG_AVRO_STRICT_JSON);
    f->values++;
    f->bytes += f->ours.len;
}

/* The next random schema, as its writer or as its reader has it, in our hands and in libavro's. */
static void make_schema(tg_buf_t *text, bool reader, tg_avro_schema_t **ours, avro_schema_t *theirs)
{
    struct generator generator = {.out = text, .reader = reader};
    tg_error_t error;
    tg_buf_clear(text);
    put_record(&generator, 0);
    if (tg_avro_schema_parse(tg_buf_view(text), ours, &error) != TG_OK)
        fail_msg("%s: %.*s", error.text, (int)text->len, text->data);
    if (avro_schema_from_json_length(text->data, text->len, theirs) != 0)
        fail_msg("libavro: %s: %.*s", avro_strerror(), (int)text->len, text->data);
}

/* Its resolved reader crashes where a map's values hold an array. */
static bool libavro_can_resolve(const tg_avro_type_t *type, unsigned depth)
{
    if (type->kind == TG_AVRO_MAP)
        return type->items->kind < TG_AVRO_RECORD;
    if (type->kind == TG_AVRO_ARRAY)
        return libavro_can_resolve(type->items, depth);
    if (type->kind == TG_AVRO_UNION) {
        for (uint32_t i = 0; i < type->count; i++) {
            if (!libavro_can_resolve(type->branches[i], depth))
                return false;
        }
    }
    for (uint32_t i = 0; type->kind == TG_AVRO_RECORD && depth < 8 && i < type->count; i++) {
        if (!libavro_can_resolve(type->fields[i].type, depth + 1))
            return false;
    }
    return true;
}

static void check_schema(struct fixture *f)
{
    tg_avro_schema_t *writer, *reader;
    avro_schema_t their_writer, their_reader;
    tg_error_t error;
    uint64_t before = random_state;
    make_schema(&f->schema_text, false, &writer, &their_writer);
    uint64_t after = random_state;
    random_state = before;
    make_schema(&f->reader_text, true, &reader, &their_reader);
    assert_true(random_state == after);
    if (tg_avro_plan_create(tg_avro_schema_root(writer), tg_avro_schema_root(reader), &f->plan,
                            &error) != TG_OK)
        fail_msg("%s: %.*s", error.text, (int)f->reader_text.len, f->reader_text.data);
    avro_value_iface_t *iface = avro_generic_class_from_schema(their_writer);
    assert_non_null(iface);
    f->reader = NULL;
    if (libavro_can_resolve(tg_avro_schema_root(writer), 0)) {
        f->reader = avro_resolved_reader_new(their_writer, their_reader);
        if (f->reader == NULL)
            fail_msg("libavro: %s", avro_strerror());
        f->resolved++;
    }
    for (int i = 0; i < VALUES_PER_SCHEMA; i++)
        check_value(f, tg_avro_schema_root(writer), iface);
    if (f->reader != NULL)
        avro_value_iface_decref(f->reader);
    avro_value_iface_decref(iface);
    avro_schema_decref(their_writer);
    avro_schema_decref(their_reader);
    tg_avro_plan_destroy(f->plan);
    tg_avro_schema_destroy(writer);
    tg_avro_schema_destroy(reader);
}

static void our_bytes_are_libavros_bytes_for_random_schemas_and_values(void **state)
{
    (void)state;
    const char *given = getenv("TIDEGATE_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) << 20;
    random_state = seed | 1;
    print_message("TIDEGATE_TEST_SEED=%llu\n", (unsigned long long)seed);
    struct fixture f = {.parser = tg_json_parser_create(1 << 20, 64),
                        .codec = tg_avro_codec_create()};
    f.schema_text = f.reader_text = f.json = f.ours = f.back = f.again = tg_buf_make(1 << 20);
    for (int i = 0; i < SCHEMAS; i++)
        check_schema(&f);
    print_message("%zu values of %d schemas, %zu bytes; %zu schemas with a reader of another\n",
                  f.values, SCHEMAS, f.bytes, f.resolved);
    assert_true(f.resolved > SCHEMAS / 2);
    tg_json_parser_destroy(f.parser);
    tg_avro_codec_destroy(f.codec);
    tg_buf_dispose(&f.schema_text);
    tg_buf_dispose(&f.reader_text);
    tg_buf_dispose(&f.json);
    tg_buf_dispose(&f.ours);
    tg_buf_dispose(&f.back);
    tg_buf_dispose(&f.again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_bytes_are_libavros_bytes_for_random_schemas_and_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
// NOLINTEND(clang-analyzer-core.NullDereference)
