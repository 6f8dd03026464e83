/* Bodies, answers and rules of configurations; one table says what each member is. */
#include "registry/settings/config.h"

#include <strings.h>

#include "registry/settings/metadata.h"

static const char *const level_names[TG_LEVELS] = {
    [TG_LEVEL_UNSET] = "",
    [TG_LEVEL_NONE] = "NONE",
    [TG_LEVEL_BACKWARD] = "BACKWARD",
    [TG_LEVEL_BACKWARD_TRANSITIVE] = "BACKWARD_TRANSITIVE",
    [TG_LEVEL_FORWARD] = "FORWARD",
    [TG_LEVEL_FORWARD_TRANSITIVE] = "FORWARD_TRANSITIVE",
    [TG_LEVEL_FULL] = "FULL",
    [TG_LEVEL_FULL_TRANSITIVE] = "FULL_TRANSITIVE",
};

const char *tg_level_name(tg_level_t level)
{
    assert(level < TG_LEVELS);
    return level_names[level];
}

tg_status_t tg_level_parse(tg_str_t text, tg_level_t *out_level)
{
    assert(out_level != NULL);
    for (tg_level_t level = TG_LEVEL_NONE; level < TG_LEVELS; level++) {
        const char *name = level_names[level];
        if (text.len == strlen(name) && strncasecmp(text.ptr, name, text.len) == 0) {
            *out_level = level;
            return TG_OK;
        }
    }
    return TG_INVALID;
}

/* --- reading a body --- */

struct reading {
    tg_arena_t *arena;
    const tg_json_node_t *nodes;
    unsigned code; /* of the refusal */
    tg_error_t *error;
};

static tg_status_t no_memory(struct reading *reading)
{
    return tg_error_set(reading->error, TG_NOMEM, "out of memory");
}

static bool is_text(const tg_json_node_t *node)
{
    return node->type == TG_JSON_STRING;
}

static tg_status_t read_level(struct reading *reading, size_t index, void *out)
{
    const tg_json_node_t *node = &reading->nodes[index];
    if (is_text(node) && tg_level_parse(node->value.text, out) == TG_OK)
        return TG_OK;
    reading->code = 42203;
    return tg_error_set(reading->error, TG_INVALID,
                        "Invalid compatibility level. Valid values are none, backward, forward, "
                        "full, backward_transitive, forward_transitive, and full_transitive");
}

static bool says(const tg_json_node_t *node, tg_json_type_t type, const char *word)
{
    return node->type == type ||
           (is_text(node) && node->value.text.len == strlen(word) &&
            strncasecmp(node->value.text.ptr, word, node->value.text.len) == 0);
}

static tg_status_t read_choice(struct reading *reading, size_t index, void *out)
{
    const tg_json_node_t *node = &reading->nodes[index];
    bool yes = says(node, TG_JSON_TRUE, "true");
    if (!yes && !says(node, TG_JSON_FALSE, "false"))
        return tg_error_set(reading->error, TG_INVALID, "\"" TG_STR_FMT "\" is true or false",
                            TG_STR_ARG(node->key));
    *(tg_choice_t *)out = yes ? TG_YES : TG_NO;
    return TG_OK;
}

/* An empty text unsets, as in Confluent's registry an empty alias is none. */
static tg_status_t read_name(struct reading *reading, size_t index, size_t max, void *out)
{
    const tg_json_node_t *node = &reading->nodes[index];
    if (!is_text(node) || node->value.text.len > max)
        return tg_error_set(reading->error, TG_INVALID,
                            "\"" TG_STR_FMT "\" is a text of at most %zu bytes",
                            TG_STR_ARG(node->key), max);
    for (size_t i = 0; i < node->value.text.len; i++) {
        if ((unsigned char)node->value.text.ptr[i] < 0x20 || node->value.text.ptr[i] == 0x7f)
            return tg_error_set(reading->error, TG_INVALID,
                                "\"" TG_STR_FMT "\" holds a control character",
                                TG_STR_ARG(node->key));
    }
    if (node->value.text.len == 0)
        return TG_OK;
    tg_str_t copy = tg_arena_copy(reading->arena, node->value.text);
    if (copy.ptr == NULL)
        return no_memory(reading);
    *(tg_str_t *)out = copy;
    return TG_OK;
}

static tg_status_t read_alias(struct reading *reading, size_t index, void *out)
{
    return read_name(reading, index, TG_CONFIG_ALIAS_MAX, out);
}

static tg_status_t read_group(struct reading *reading, size_t index, void *out)
{
    return read_name(reading, index, TG_CONFIG_GROUP_MAX, out);
}

static tg_status_t read_metadata(struct reading *reading, size_t index, void *out)
{
    tg_buf_t text = tg_buf_make(TG_CONFIG_BODY_MAX);
    tg_json_write(reading->nodes, index, &text);
    tg_status_t status =
        text.failed ? no_memory(reading)
                    : tg_metadata_read(tg_buf_view(&text), reading->arena, out, reading->error);
    tg_buf_dispose(&text);
    return status;
}

/* What is only promised by name: false, an empty text and null promise nothing. */
static tg_status_t read_unsupported(struct reading *reading, size_t index, void *out)
{
    (void)out;
    const tg_json_node_t *node = &reading->nodes[index];
    if (node->type == TG_JSON_FALSE || (is_text(node) && node->value.text.len == 0))
        return TG_OK;
    reading->code = 42210;
    return tg_error_set(reading->error, TG_INVALID,
                        "\"" TG_STR_FMT "\" is not supported: this registry runs no rules",
                        TG_STR_ARG(node->key));
}

#define AT(member) offsetof(tg_subject_config_t, member)
#define NOTHING    TG_CONFIG_MEMBERS
// clang-format off
static const struct member {
    const char *name;
    enum tg_config_member member;
    size_t offset;
    tg_status_t (*read)(struct reading *reading, size_t index, void *out);
} members[] = {
    {"compatibility",      TG_CONFIG_LEVEL,             AT(level),             read_level},
    {"compatibilityLevel", TG_CONFIG_LEVEL,             AT(level),             read_level},
    {"normalize",          TG_CONFIG_NORMALIZE,         AT(normalize),         read_choice},
    {"alias",              TG_CONFIG_ALIAS,             AT(alias),             read_alias},
    {"compatibilityGroup", TG_CONFIG_GROUP,             AT(group),             read_group},
    {"defaultMetadata",    TG_CONFIG_DEFAULT_METADATA,  AT(default_metadata),  read_metadata},
    {"overrideMetadata",   TG_CONFIG_OVERRIDE_METADATA, AT(override_metadata), read_metadata},
    {"defaultRuleSet",     NOTHING,                     0,                     read_unsupported},
    {"overrideRuleSet",    NOTHING,                     0,                     read_unsupported},
    {"aliasForDeks",       NOTHING,                     0,                     read_unsupported},
    {"validateFields",     NOTHING,                     0,                     read_unsupported},
    {"validateRules",      NOTHING,                     0,                     read_unsupported},
};
// clang-format on

static tg_status_t read_member(struct reading *reading, size_t index, tg_config_patch_t *patch)
{
    const tg_json_node_t *node = &reading->nodes[index];
    for (size_t i = 0; i < TG_ARRAY_LEN(members); i++) {
        const struct member *member = &members[i];
        if (!tg_str_eq(node->key, tg_str_from(member->name)))
            continue;
        if (member->member != NOTHING)
            patch->given |= 1U << member->member;
        return node->type == TG_JSON_NULL
                   ? TG_OK
                   : member->read(reading, index, (char *)&patch->values + member->offset);
    }
    return TG_OK;
}

tg_status_t tg_subject_config_read(tg_json_parser_t *parser, tg_str_t body, tg_arena_t *arena,
                                   tg_config_patch_t *out_patch, unsigned *out_code,
                                   tg_error_t *error)
{
    assert(arena != NULL);
    assert(out_patch != NULL);
    struct reading reading = {.arena = arena, .code = 422, .error = error};
    tg_config_patch_t patch = {.values = {.configured = true}};
    size_t count = 0;
    tg_status_t status = tg_json_parse(parser, body, &reading.nodes, &count, error);
    const tg_json_node_t *root = reading.nodes;
    if (status == TG_OK && root->type != TG_JSON_OBJECT)
        status = tg_error_set(error, TG_INVALID, "the body is no object but %s",
                              tg_json_type_name(root->type));
    for (size_t i = 1; status == TG_OK && i < root->next; i = reading.nodes[i].next)
        status = read_member(&reading, i, &patch);
    if (status == TG_OK)
        *out_patch = patch;
    *out_code = reading.code;
    return status == TG_TOO_LARGE ? TG_INVALID : status;
}

/* --- writing an answer --- */

static void write_name(const char *name, tg_buf_t *out)
{
    if (out->len > 0 && out->data[out->len - 1] != '{')
        tg_buf_byte(out, ',');
    tg_buf_printf(out, "\"%s\":", name);
}

static void write_text(const char *name, tg_str_t text, tg_buf_t *out)
{
    if (text.ptr == NULL)
        return;
    write_name(name, out);
    tg_buf_json_string(out, text);
}

static void write_json(const char *name, tg_str_t json, tg_buf_t *out)
{
    if (json.ptr == NULL)
        return;
    write_name(name, out);
    tg_buf_str(out, json);
}

void tg_subject_config_write(const tg_subject_config_t *config, const char *level_name,
                             tg_buf_t *out)
{
    assert(config != NULL);
    tg_buf_byte(out, '{');
    write_text("alias", config->alias, out);
    if (config->normalize != TG_UNSAID) {
        write_name("normalize", out);
        tg_buf_str(out, config->normalize == TG_YES ? TG_STR("true") : TG_STR("false"));
    }
    if (config->level != TG_LEVEL_UNSET)
        write_text(level_name, tg_str_from(tg_level_name(config->level)), out);
    write_text("compatibilityGroup", config->group, out);
    write_json("defaultMetadata", config->default_metadata, out);
    write_json("overrideMetadata", config->override_metadata, out);
    tg_buf_byte(out, '}');
}

/* --- what counts --- */

/* Fills what `config` leaves open from `wider`; the alias is a subject's own and stays out. */
static void inherit(tg_subject_config_t *config, const tg_subject_config_t *wider)
{
    if (config->level == TG_LEVEL_UNSET)
        config->level = wider->level;
    if (config->normalize == TG_UNSAID)
        config->normalize = wider->normalize;
    if (config->group.ptr == NULL)
        config->group = wider->group;
    if (config->default_metadata.ptr == NULL)
        config->default_metadata = wider->default_metadata;
    if (config->override_metadata.ptr == NULL)
        config->override_metadata = wider->override_metadata;
}

void tg_scope_settle(tg_scope_t *scope)
{
    assert(scope != NULL);
    static const tg_subject_config_t registry_default = {.level = TG_LEVEL_BACKWARD};
    tg_subject_config_t *effective = &scope->effective;
    *effective = scope->subject;
    inherit(effective, &scope->context);
    inherit(effective, &scope->global);
    inherit(effective, &registry_default);
    effective->mode =
        tg_mode_effective(scope->subject.mode, scope->context.mode, scope->global.mode);
    assert(effective->level != TG_LEVEL_UNSET);
}
