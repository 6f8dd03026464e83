/* Body and schema of a submission.
 *
 * The identity is the SHA-256 of the print, then of each reference's name, context, subject and
 * version, then of the metadata, with a zero byte behind each, which none of them can hold. */
#include "registry/submission.h"

#include <stdio.h>

#include "common/avro/print.h"
#include "common/base/hash.h"
#include "common/event/event.h"
#include "registry/roles.h"

#define IDENTITY_MAX ((size_t)4 << 20) /* bytes that are hashed */

tg_str_t tg_subject_type(tg_str_t subject)
{
    const tg_str_t suffix = TG_STR("-value");
    if (subject.len <= suffix.len)
        return (tg_str_t){NULL, 0};
    tg_str_t type = {subject.ptr, subject.len - suffix.len};
    bool ends = memcmp(subject.ptr + type.len, suffix.ptr, suffix.len) == 0;
    return ends && tg_event_type_name_ok(type) ? type : (tg_str_t){NULL, 0};
}

/* --- the body --- */

struct reading {
    const tg_json_node_t *nodes;
    const tg_viewer_t *viewer;
    tg_str_t within;
    tg_arena_t *arena;
    tg_submission_t *out;
    tg_error_t *error;
};

static tg_status_t out_of_memory(struct reading *reading)
{
    return tg_error_set(reading->error, TG_NOMEM, "out of memory");
}

static tg_status_t read_schema(struct reading *reading, size_t index)
{
    const tg_json_node_t *node = &reading->nodes[index];
    if (node->type != TG_JSON_STRING)
        return tg_error_set(reading->error, TG_INVALID,
                            "\"schema\" is a string that holds the schema's JSON");
    if (reading->out->schema.ptr != NULL)
        return tg_error_set(reading->error, TG_INVALID, "\"schema\" is given twice");
    reading->out->schema = tg_arena_copy(reading->arena, node->value.text);
    return reading->out->schema.ptr == NULL ? out_of_memory(reading) : TG_OK;
}

static tg_status_t read_type(struct reading *reading, size_t index)
{
    const tg_json_node_t *node = &reading->nodes[index];
    bool avro = node->type == TG_JSON_NULL ||
                (node->type == TG_JSON_STRING && tg_str_eq(node->value.text, TG_STR("AVRO")));
    return avro ? TG_OK
                : tg_error_set(reading->error, TG_INVALID, "the only \"schemaType\" is \"AVRO\"");
}

static tg_status_t read_references(struct reading *reading, size_t index)
{
    return tg_references_read(reading->nodes, index, reading->viewer, reading->within,
                              reading->arena, &reading->out->references, reading->error);
}

static tg_status_t read_metadata(struct reading *reading, size_t index)
{
    if (reading->nodes[index].type == TG_JSON_NULL)
        return TG_OK;
    tg_buf_t json = tg_buf_make(IDENTITY_MAX);
    tg_json_write(reading->nodes, index, &json);
    tg_str_t copy =
        json.failed ? (tg_str_t){NULL, 0} : tg_arena_copy(reading->arena, tg_buf_view(&json));
    tg_buf_dispose(&json);
    reading->out->metadata = copy;
    return copy.ptr == NULL ? out_of_memory(reading) : TG_OK;
}

/* What would change the schema's meaning must not be dropped in silence. */
static tg_status_t read_rules(struct reading *reading, size_t index)
{
    return reading->nodes[index].type == TG_JSON_NULL
               ? TG_OK
               : tg_error_set(reading->error, TG_INVALID, "\"ruleSet\" is not supported");
}

/* Clients send 0 and -1 for "none". */
static tg_status_t read_number(struct reading *reading, size_t index, uint32_t *out)
{
    const tg_json_node_t *node = &reading->nodes[index];
    if (node->type == TG_JSON_NULL)
        return TG_OK;
    if (node->type != TG_JSON_INT || node->value.integer < -1 || node->value.integer > INT32_MAX)
        return tg_error_set(reading->error, TG_INVALID,
                            "\"" TG_STR_FMT "\" is a number from 1 to 2^31-1",
                            TG_STR_ARG(node->key));
    *out = node->value.integer > 0 ? (uint32_t)node->value.integer : 0;
    return TG_OK;
}

static tg_status_t read_id(struct reading *reading, size_t index)
{
    return read_number(reading, index, &reading->out->id);
}

static tg_status_t read_version(struct reading *reading, size_t index)
{
    return read_number(reading, index, &reading->out->version);
}

static const struct member {
    const char *name;
    tg_status_t (*read)(struct reading *reading, size_t index);
} members[] = {
    {"schema", read_schema},     {"schemaType", read_type}, {"references", read_references},
    {"metadata", read_metadata}, {"ruleSet", read_rules},   {"id", read_id},
    {"version", read_version},
};

static tg_status_t read_member(struct reading *reading, size_t index)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(members); i++) {
        if (tg_str_eq(reading->nodes[index].key, tg_str_from(members[i].name)))
            return members[i].read(reading, index);
    }
    return TG_OK; /* clients send "subject", "guid", … back as they got them */
}

tg_status_t tg_submission_read(tg_json_parser_t *parser, tg_str_t body, const tg_viewer_t *viewer,
                               tg_str_t within, tg_arena_t *arena, tg_submission_t *out,
                               tg_error_t *error)
{
    assert(parser != NULL);
    assert(arena != NULL);
    size_t count = 0;
    *out = (tg_submission_t){0};
    struct reading reading = {NULL, viewer, within, arena, out, error};
    tg_status_t status = tg_json_parse(parser, body, &reading.nodes, &count, error);
    if (status != TG_OK)
        return status;
    const tg_json_node_t *root = reading.nodes;
    if (root->type != TG_JSON_OBJECT)
        return tg_error_set(error, TG_INVALID, "the body is no object but %s",
                            tg_json_type_name(root->type));
    for (size_t i = 1; i < root->next && status == TG_OK; i = reading.nodes[i].next)
        status = read_member(&reading, i);
    if (status == TG_OK && out->schema.len == 0)
        return tg_error_set(error, TG_INVALID, "\"schema\" is missing or empty");
    return status;
}

/* --- the schema --- */

tg_status_t tg_submission_parse(tg_str_t schema, const tg_closure_t *closure,
                                tg_avro_schema_t **out_schema, tg_error_t *error)
{
    if (closure == NULL || closure->count == 0)
        return tg_avro_schema_parse(schema, out_schema, error);
    return tg_avro_schema_parse_refs(schema, (const tg_avro_schema_t *const *)closure->schemas,
                                     closure->count, out_schema, error);
}

tg_status_t tg_submission_check_type(tg_str_t subject, const tg_avro_schema_t *schema,
                                     bool *out_is_type, tg_error_t *error)
{
    tg_str_t name = tg_subject_type(subject);
    const tg_avro_type_t *root = tg_avro_schema_root(schema);
    *out_is_type = false;
    if (name.len == 0 || !tg_roles_carried(root))
        return TG_OK;
    tg_buf_t text = tg_buf_make(IDENTITY_MAX);
    tg_event_type_t *compiled = NULL;
    tg_status_t status = tg_avro_print_resolved(schema, &text);
    if (status != TG_OK)
        (void)tg_error_set(error, status, "the event type with all that it refers to is too long");
    if (status == TG_OK)
        status = tg_event_type_compile(name, tg_buf_view(&text), 1, &compiled, error);
    tg_buf_dispose(&text);
    if (status != TG_OK)
        return status;
    tg_event_type_unref(compiled);
    *out_is_type = true;
    return TG_OK;
}

static void add_part(tg_buf_t *text, tg_str_t part)
{
    tg_buf_str(text, part);
    tg_buf_byte(text, '\0');
}

/* A UUID of version 8 (RFC 9562: of our own making) from the identity's first bits. */
static void guid_of(const uint8_t digest[TG_SHA256_LEN], char out[TG_GUID_LEN])
{
    uint8_t bytes[16];
    char hex[32];
    memcpy(bytes, digest, sizeof(bytes));
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x80);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    tg_hash_hex(bytes, sizeof(bytes), hex);
    static const struct {
        size_t from, len;
    } groups[] = {{0, 8}, {8, 4}, {12, 4}, {16, 4}, {20, 12}};
    size_t at = 0;
    for (size_t i = 0; i < TG_ARRAY_LEN(groups); i++) {
        if (i > 0)
            out[at++] = '-';
        memcpy(out + at, hex + groups[i].from, groups[i].len);
        at += groups[i].len;
    }
    assert(at == TG_GUID_LEN);
}

tg_status_t tg_submission_identify(const tg_avro_schema_t *schema, bool normalize,
                                   const tg_references_t *references, tg_str_t metadata,
                                   tg_buf_t *out_printed, tg_identity_t *out_identity)
{
    _Static_assert(TG_IDENTITY_LEN == 2 * TG_SHA256_LEN, "two digits per byte");
    tg_status_t status = normalize ? tg_avro_print_normalized(schema, out_printed)
                                   : tg_avro_print(schema, out_printed);
    if (status != TG_OK)
        return status;
    tg_buf_t text = tg_buf_make(IDENTITY_MAX);
    uint8_t digest[TG_SHA256_LEN];
    add_part(&text, tg_buf_view(out_printed));
    for (size_t i = 0; references != NULL && i < references->count; i++) {
        const tg_reference_t *one = &references->items[i];
        add_part(&text, one->name);
        add_part(&text, one->to.context);
        add_part(&text, one->to.name);
        tg_buf_printf(&text, "%u", one->version);
        tg_buf_byte(&text, '\0');
    }
    if (metadata.ptr != NULL)
        add_part(&text, metadata);
    if (!text.failed) {
        tg_hash_sha256(tg_buf_view(&text), digest);
        tg_hash_hex(digest, sizeof(digest), out_identity->hex);
        guid_of(digest, out_identity->guid);
    }
    status = text.failed ? TG_NOMEM : TG_OK;
    tg_buf_dispose(&text);
    return status;
}
