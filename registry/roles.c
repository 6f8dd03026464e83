/* Each role of the old version must stand on the same field of the new one. A field is the same by
 * its name, or where the new one lists the old name among its aliases. */
#include "registry/roles.h"

static tg_str_t role_of(const tg_avro_field_t *field)
{
    return field->json == NULL ? TG_STR("") : tg_avro_attribute(field->json, "role");
}

static const tg_avro_field_t *find_role(const tg_avro_type_t *record, tg_str_t role)
{
    assert(role.len > 0);
    if (record->kind != TG_AVRO_RECORD)
        return NULL;
    for (uint32_t i = 0; i < record->count; i++) {
        if (tg_str_eq(role_of(&record->fields[i]), role))
            return &record->fields[i];
    }
    return NULL;
}

static bool is_same_field(const tg_avro_field_t *before, const tg_avro_field_t *after)
{
    if (tg_str_eq(before->name, after->name))
        return true;
    for (uint32_t i = 0; i < after->alias_count; i++) {
        if (tg_str_eq(before->name, after->aliases[i]))
            return true;
    }
    return false;
}

bool tg_roles_carried(const tg_avro_type_t *root)
{
    assert(root != NULL);
    if (root->kind != TG_AVRO_RECORD)
        return false;
    for (uint32_t i = 0; i < root->count; i++) {
        if (role_of(&root->fields[i]).len > 0)
            return true;
    }
    return false;
}

tg_status_t tg_roles_check(const tg_avro_type_t *before, const tg_avro_type_t *after,
                           tg_error_t *error)
{
    assert(after != NULL);
    if (before == NULL || before->kind != TG_AVRO_RECORD)
        return TG_OK;
    for (uint32_t i = 0; i < before->count; i++) {
        const tg_avro_field_t *field = &before->fields[i];
        tg_str_t role = role_of(field);
        if (role.len == 0)
            continue;
        const tg_avro_field_t *now = find_role(after, role);
        if (now == NULL)
            return tg_error_set(error, TG_INVALID,
                                "the role \"" TG_STR_FMT "\" of field " TG_STR_FMT
                                " is removed; a new version of an event type keeps every role",
                                TG_STR_ARG(role), TG_STR_ARG(field->name));
        if (!is_same_field(field, now))
            return tg_error_set(
                error, TG_INVALID,
                "the role \"" TG_STR_FMT "\" moves from field " TG_STR_FMT " to " TG_STR_FMT
                "; a new version of an event type keeps every role where it is (a renamed "
                "field lists its old name in \"aliases\")",
                TG_STR_ARG(role), TG_STR_ARG(field->name), TG_STR_ARG(now->name));
    }
    return TG_OK;
}
