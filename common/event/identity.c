/* Which event this is: the UUID that makes it count once.
 *
 * Where the client named the event, its name is the id (a UUID as it stands, other text hashed
 * within tenant and type). Where it gave only a time, the id is the hash of what it sent, in one
 * canonical form: fields sorted by name, values by their Avro type (21 and 21.0 are one double),
 * times in µs, fields that equal their default left out (null and absent are the same, and a later
 * version of the type with one more optional field changes nothing), free-form JSON with its names
 * sorted. So a batch that is sent twice counts once although nobody numbered its events. An id that
 * only the envelope gives (CloudEvents) is hashed with its source, unless it is a UUID.
 *
 * The canonical text is made only for such events; it works on the JSON nodes, since a record's
 * bytes no longer tell what was left out. */
#include "common/avro/internal.h"
#include "common/event/internal.h"

/* UUIDv5 of the name "events.tidegate" in RFC 9562's DNS namespace. Never changes: ids that are
 * stored depend on it. */
static const tg_uuid_t space = {{0x55, 0x2b, 0x7f, 0xce, 0xdc, 0xd6, 0x53, 0x41, 0x9f, 0xaa, 0x2e,
                                 0xbc, 0xab, 0xf3, 0xa6, 0x95}};

static tg_status_t put_json(tg_event_job_t *job, size_t at);
static tg_status_t put_typed(tg_event_job_t *job, const tg_avro_type_t *type, size_t at);

/* --- free-form JSON: names sorted, nesting was bounded when it was checked --- */

static tg_status_t put_object(tg_event_job_t *job, size_t at, bool is_object,
                              const tg_event_list_t *more)
{
    tg_event_list_t *order = &job->codec->order;
    tg_buf_t *text = &job->codec->text;
    size_t start;
    tg_status_t status = tg_event_sort_members(job, at, is_object, more, &start);
    size_t end = order->len;
    tg_buf_byte(text, '{');
    for (size_t i = start; status == TG_OK && i < end; i++) {
        uint32_t member = order->items[i];
        if (i > start)
            tg_buf_byte(text, ',');
        tg_buf_json_string(text, job->nodes[member].key);
        tg_buf_byte(text, ':');
        status = put_json(job, member);
    }
    tg_buf_byte(text, '}');
    order->len = start;
    return status;
}

static tg_status_t put_json(tg_event_job_t *job, size_t at)
{
    assert(at != 0);
    const tg_json_node_t *node = &job->nodes[at];
    tg_buf_t *text = &job->codec->text;
    tg_status_t status = TG_OK;
    if (node->type == TG_JSON_OBJECT)
        return put_object(job, at, true, NULL);
    if (node->type != TG_JSON_ARRAY) {
        tg_json_write(job->nodes, at, text);
        return TG_OK;
    }
    tg_buf_byte(text, '[');
    size_t child = at + 1;
    for (uint32_t i = 0; status == TG_OK && i < node->count; i++) {
        if (i > 0)
            tg_buf_byte(text, ',');
        status = put_json(job, child);
        child = job->nodes[child].next;
    }
    tg_buf_byte(text, ']');
    return status;
}

/* --- values of an Avro type --- */

/* Encodes the value into codec->bytes. It was encoded once already, so it can only run out of
 * memory. */
static tg_status_t encode_again(tg_event_job_t *job, const tg_avro_type_t *type, size_t at)
{
    tg_buf_clear(&job->codec->bytes);
    return tg_avro_encode(job->codec->avro, type, job->nodes, at, 0, &job->codec->bytes,
                          &job->codec->why);
}

static tg_status_t put_scalar(tg_event_job_t *job, const tg_avro_type_t *type, size_t at)
{
    tg_status_t status = encode_again(job, type, at);
    if (status != TG_OK)
        return status;
    return tg_avro_decode(type, tg_buf_view(&job->codec->bytes), TG_AVRO_RAW_TIMES,
                          &job->codec->text, &job->codec->why);
}

/* Whether the member says no more than the field's default does. */
static tg_status_t is_default(tg_event_job_t *job, const tg_avro_field_t *field, size_t at,
                              bool *out_is)
{
    *out_is = false;
    if (!field->has_default)
        return TG_OK;
    tg_status_t status = encode_again(job, field->type, at);
    if (status == TG_OK)
        *out_is = tg_str_eq(tg_buf_view(&job->codec->bytes), field->default_bytes);
    return status;
}

/* One member of a record or a map, unless it is its field's default. */
static tg_status_t put_member(tg_event_job_t *job, const tg_avro_type_t *type, size_t at,
                              bool *first)
{
    tg_buf_t *text = &job->codec->text;
    const tg_avro_type_t *value = type->items;
    tg_str_t key = job->nodes[at].key;
    if (type->kind == TG_AVRO_RECORD) {
        int index = tg_avro_type_find(type, key);
        assert(index >= 0);
        bool skip;
        value = type->fields[index].type;
        tg_status_t status = is_default(job, &type->fields[index], at, &skip);
        if (status != TG_OK || skip)
            return status;
    }
    if (!*first)
        tg_buf_byte(text, ',');
    *first = false;
    tg_buf_json_string(text, key);
    tg_buf_byte(text, ':');
    return put_typed(job, value, at);
}

static tg_status_t put_members(tg_event_job_t *job, const tg_avro_type_t *type, size_t at)
{
    assert(type->kind == TG_AVRO_RECORD || type->kind == TG_AVRO_MAP);
    tg_event_list_t *order = &job->codec->order;
    bool first = true;
    size_t start;
    tg_status_t status = tg_event_sort_members(job, at, true, NULL, &start);
    size_t end = order->len;
    tg_buf_byte(&job->codec->text, '{');
    for (size_t i = start; status == TG_OK && i < end; i++)
        status = put_member(job, type, order->items[i], &first);
    tg_buf_byte(&job->codec->text, '}');
    order->len = start;
    return status;
}

static tg_status_t put_typed(tg_event_job_t *job, const tg_avro_type_t *type, size_t at)
{
    assert(at != 0);
    const tg_json_node_t *node = &job->nodes[at];
    if (type->kind == TG_AVRO_UNION) {
        int branch = tg_avro_union_pick(type, job->nodes, at);
        assert(branch >= 0);
        return put_typed(job, type->branches[branch], at);
    }
    if (type->kind == TG_AVRO_RECORD || type->kind == TG_AVRO_MAP)
        return put_members(job, type, at);
    if (type->kind != TG_AVRO_ARRAY)
        return put_scalar(job, type, at);
    tg_status_t status = TG_OK;
    size_t child = at + 1;
    tg_buf_byte(&job->codec->text, '[');
    for (uint32_t i = 0; status == TG_OK && i < node->count; i++) {
        if (i > 0)
            tg_buf_byte(&job->codec->text, ',');
        status = put_typed(job, type->items, child);
        child = job->nodes[child].next;
    }
    tg_buf_byte(&job->codec->text, ']');
    return status;
}

/* --- the event --- */

static tg_status_t put_free_form(tg_event_job_t *job, size_t at, bool extras)
{
    if (!extras)
        return put_json(job, at);
    bool object = at != 0 && job->nodes[at].type == TG_JSON_OBJECT;
    return put_object(job, at, object, &job->codec->unknown);
}

static tg_status_t put_field(tg_event_job_t *job, int index, bool *first)
{
    const tg_event_field_t *field = &job->type->fields[index];
    tg_buf_t *text = &job->codec->text;
    size_t at = job->codec->slots[index];
    bool extras = index == job->type->extras && job->codec->unknown.len > 0;
    bool is_null = at != 0 && job->nodes[at].type == TG_JSON_NULL;
    if (at == 0 && !extras)
        return TG_OK;
    bool skip = false;
    if (!extras && (!field->json || is_null)) {
        tg_status_t status = is_default(job, field->avro, at, &skip);
        if (status != TG_OK || skip)
            return status;
    }
    if (!*first)
        tg_buf_byte(text, ',');
    *first = false;
    tg_buf_json_string(text, field->avro->name);
    tg_buf_byte(text, ':');
    return field->json ? put_free_form(job, at, extras) : put_typed(job, field->avro->type, at);
}

static tg_status_t canonical(tg_event_job_t *job)
{
    assert(job->client_time);
    assert(job->id.len == 0);
    const tg_avro_type_t *record = job->type->record;
    tg_buf_t *text = &job->codec->text;
    bool first = true;
    tg_buf_clear(text);
    tg_buf_byte(text, '{');
    for (uint32_t i = 0; i < record->count; i++) {
        tg_status_t status = put_field(job, (int)record->by_name[i], &first);
        if (status != TG_OK)
            return status;
    }
    tg_buf_byte(text, '}');
    return text->failed ? TG_NOMEM : TG_OK;
}

/* "tenant/type/", kept in the codec: a batch's events share it, and the hash takes it as one piece.
 */
static tg_str_t name_prefix(tg_event_job_t *job)
{
    tg_event_codec_t *codec = job->codec;
    tg_str_t tenant = job->rules->tenant, type = job->type->name;
    assert(tenant.len <= TG_EVENT_TENANT_MAX);
    tg_str_t kept_tenant = {codec->prefix, codec->prefix_tenant};
    tg_str_t kept_type = {codec->prefix + tenant.len + 1, codec->prefix_len - tenant.len - 2};
    if (codec->prefix_len != tenant.len + type.len + 2 || !tg_avro_same(kept_tenant, tenant) ||
        !tg_avro_same(kept_type, type)) {
        memcpy(codec->prefix, tenant.ptr, tenant.len);
        codec->prefix[tenant.len] = '/';
        memcpy(codec->prefix + tenant.len + 1, type.ptr, type.len);
        codec->prefix[tenant.len + 1 + type.len] = '/';
        codec->prefix_tenant = tenant.len;
        codec->prefix_len = tenant.len + type.len + 2;
    }
    return (tg_str_t){codec->prefix, codec->prefix_len};
}

/* UUIDv5(tenant/type/text). */
static void name_by_text(tg_event_job_t *job, tg_str_t text)
{
    assert(text.len > 0);
    const tg_str_t parts[] = {name_prefix(job), text};
    tg_uuid_v5(&space, parts, TG_ARRAY_LEN(parts), &job->event->id);
}

/* UUIDv5(tenant/type/key/index). */
static void name_by_key(tg_event_job_t *job)
{
    char digits[24];
    tg_buf_t number = {.data = digits, .cap = sizeof(digits), .max = sizeof(digits)};
    assert(job->rules->index <= INT64_MAX);
    tg_buf_i64(&number, (int64_t)job->rules->index);
    const tg_str_t parts[] = {name_prefix(job), job->rules->idempotency_key, TG_STR("/"),
                              tg_buf_view(&number)};
    tg_uuid_v5(&space, parts, TG_ARRAY_LEN(parts), &job->event->id);
}

/* UUIDv5(tenant/type/source NUL id): in CloudEvents an id is unique within its source only. No
 * other name has a NUL. */
static void name_by_source(tg_event_job_t *job)
{
    const tg_event_given_t *given = &job->rules->given;
    assert(given->id.len > 0);
    const tg_str_t parts[] = {name_prefix(job), given->source, {"", 1}, given->id};
    tg_uuid_v5(&space, parts, TG_ARRAY_LEN(parts), &job->event->id);
}

tg_status_t tg_event_identify(tg_event_job_t *job)
{
    assert(job->event->received_at >= 0);
    if (job->id.len > 0) {
        if (tg_uuid_parse(job->id, &job->event->id) != TG_OK)
            name_by_text(job, job->id);
        return TG_OK;
    }
    if (job->rules->given.id.len > 0) {
        if (tg_uuid_parse(job->rules->given.id, &job->event->id) != TG_OK)
            name_by_source(job);
        return TG_OK;
    }
    if (job->client_time) {
        tg_status_t status = canonical(job);
        if (status == TG_OK)
            name_by_text(job, tg_buf_view(&job->codec->text));
        return status;
    }
    if (job->rules->idempotency_key.len > 0)
        name_by_key(job);
    else
        tg_uuid_v7(job->rules->now / TG_US_PER_MS, &job->event->id);
    return TG_OK;
}
