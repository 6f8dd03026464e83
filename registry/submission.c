/* Body and schema of a submission.
 *
 * The fingerprint is the SHA-256 of the schema's JSON written compactly with sorted members. It is
 * taken after the check, so jansson's recursion is bounded by the check's depth. */
#include "registry/submission.h"

#include <jansson.h>

#include "common/avro/schema.h"
#include "common/base/hash.h"
#include "common/event/event.h"

bool tg_subject_ok(tg_str_t subject)
{
    if (subject.len == 0 || subject.len > TG_SUBJECT_MAX || !tg_str_is_utf8(subject))
        return false;
    if (subject.len >= 2 && memcmp(subject.ptr, ":.", 2) == 0)
        return false;
    for (size_t i = 0; i < subject.len; i++) {
        if ((unsigned char)subject.ptr[i] < 0x20 || subject.ptr[i] == 0x7f)
            return false;
    }
    return true;
}

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

static tg_status_t read_schema(const tg_json_node_t *node, tg_str_t *schema, tg_error_t *error)
{
    if (node->type != TG_JSON_STRING)
        return tg_error_set(error, TG_INVALID,
                            "\"schema\" is a string that holds the schema's JSON");
    if (schema->ptr != NULL)
        return tg_error_set(error, TG_INVALID, "\"schema\" is given twice");
    *schema = node->value.text;
    return TG_OK;
}

static tg_status_t read_type(const tg_json_node_t *node, tg_str_t *schema, tg_error_t *error)
{
    (void)schema;
    bool avro = node->type == TG_JSON_NULL ||
                (node->type == TG_JSON_STRING && tg_str_eq(node->value.text, TG_STR("AVRO")));
    return avro ? TG_OK : tg_error_set(error, TG_INVALID, "the only \"schemaType\" is \"AVRO\"");
}

/* What would change the schema's meaning must not be dropped in silence. */
static tg_status_t read_unsupported(const tg_json_node_t *node, tg_str_t *schema, tg_error_t *error)
{
    (void)schema;
    bool nothing = node->type == TG_JSON_NULL || (node->type == TG_JSON_ARRAY && node->count == 0);
    return nothing ? TG_OK
                   : tg_error_set(error, TG_INVALID, "\"" TG_STR_FMT "\" is not supported",
                                  TG_STR_ARG(node->key));
}

static const struct member {
    const char *name;
    tg_status_t (*read)(const tg_json_node_t *node, tg_str_t *schema, tg_error_t *error);
} members[] = {
    {"schema", read_schema},        {"schemaType", read_type},     {"references", read_unsupported},
    {"metadata", read_unsupported}, {"ruleSet", read_unsupported},
};

static tg_status_t read_member(const tg_json_node_t *node, tg_str_t *schema, tg_error_t *error)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(members); i++) {
        if (tg_str_eq(node->key, tg_str_from(members[i].name)))
            return members[i].read(node, schema, error);
    }
    return TG_OK; /* clients send "id", "version", … back as they got them */
}

tg_status_t tg_submission_read(tg_json_parser_t *parser, tg_str_t body, tg_arena_t *arena,
                               tg_str_t *out_schema, tg_error_t *error)
{
    assert(parser != NULL);
    assert(arena != NULL);
    const tg_json_node_t *nodes = NULL;
    size_t count = 0;
    tg_str_t schema = {NULL, 0};
    tg_status_t status = tg_json_parse(parser, body, &nodes, &count, error);
    if (status != TG_OK)
        return status;
    if (nodes[0].type != TG_JSON_OBJECT)
        return tg_error_set(error, TG_INVALID, "the body is no object but %s",
                            tg_json_type_name(nodes[0].type));
    for (size_t i = 1; i < nodes[0].next && status == TG_OK; i = nodes[i].next)
        status = read_member(&nodes[i], &schema, error);
    if (status != TG_OK)
        return status;
    if (schema.len == 0)
        return tg_error_set(error, TG_INVALID, "\"schema\" is missing or empty");
    schema = tg_arena_copy(arena, schema);
    if (schema.ptr == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    *out_schema = schema;
    return TG_OK;
}

/* --- the schema --- */

static tg_status_t check_event_type(tg_str_t type, tg_str_t schema, tg_error_t *error)
{
    tg_event_type_t *compiled = NULL;
    tg_status_t status = tg_event_type_compile(type, schema, 1, &compiled, error);
    if (status == TG_OK)
        tg_event_type_unref(compiled);
    return status;
}

static tg_status_t check_avro(tg_str_t schema, tg_error_t *error)
{
    tg_avro_schema_t *parsed = NULL;
    tg_status_t status = tg_avro_schema_parse(schema, &parsed, error);
    if (status == TG_OK)
        tg_avro_schema_destroy(parsed);
    return status;
}

static tg_status_t fingerprint(tg_str_t schema, char out[TG_FINGERPRINT_LEN], tg_error_t *error)
{
    json_error_t where;
    json_t *json =
        json_loadb(schema.ptr, schema.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
    if (json == NULL)
        return tg_error_set(error, TG_INVALID, "schema is not JSON: %s (line %d, column %d)",
                            where.text, where.line, where.column);
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    json_decref(json);
    if (text == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    uint8_t digest[TG_SHA256_LEN];
    tg_hash_sha256(tg_str_from(text), digest);
    tg_hash_hex(digest, sizeof(digest), out);
    free(text);
    return TG_OK;
}

tg_status_t tg_submission_check(tg_str_t subject, tg_str_t schema,
                                char out_fingerprint[TG_FINGERPRINT_LEN], tg_error_t *error)
{
    _Static_assert(TG_FINGERPRINT_LEN == 2 * TG_SHA256_LEN, "two digits per byte");
    tg_str_t type = tg_subject_type(subject);
    tg_status_t status =
        type.len > 0 ? check_event_type(type, schema, error) : check_avro(schema, error);
    return status == TG_OK ? fingerprint(schema, out_fingerprint, error) : status;
}
