/* common/avro's verdicts as messages. It speaks of reader and writer; a client knows the new and
 * the old schema, so the words are those of this file. */
#include "registry/compatibility/findings.h"

#include "common/avro/compat.h"
#include "common/avro/print.h"

#define MESSAGE_MAX   ((size_t)4 << 10)
#define PRINTED_MAX   ((size_t)4 << 20)
#define ROOM_FOR_ENDS 4 /* messages that are kept free: version, text, level, "more" */

enum { READS = 1, IS_READ = 2, ALL = 4 };
static const unsigned directions[TG_LEVELS] = {
    [TG_LEVEL_BACKWARD] = READS,       [TG_LEVEL_BACKWARD_TRANSITIVE] = READS | ALL,
    [TG_LEVEL_FORWARD] = IS_READ,      [TG_LEVEL_FORWARD_TRANSITIVE] = IS_READ | ALL,
    [TG_LEVEL_FULL] = READS | IS_READ, [TG_LEVEL_FULL_TRANSITIVE] = READS | IS_READ | ALL,
};

bool tg_level_is_transitive(tg_level_t level)
{
    assert(level < TG_LEVELS);
    return (directions[level] & ALL) != 0;
}

/* --- one message --- */

static tg_status_t keep(tg_findings_t *findings, tg_buf_t *text)
{
    assert(findings->count < TG_FINDINGS_MAX);
    tg_str_t copy = {NULL, 0};
    if (!text->failed)
        copy = tg_arena_copy(findings->arena, tg_buf_view(text));
    tg_buf_dispose(text);
    if (copy.ptr == NULL)
        return TG_NOMEM;
    findings->messages[findings->count++] = copy;
    return TG_OK;
}

/* What each incompatibility means for somebody who has a new and an old schema, and what to do.
 * %r is the reading one of the two, %w the other, %p the path in the reading one, %n the names. */
// clang-format off
static const char *const descriptions[TG_AVRO_INCOMPATS] = {
    [TG_AVRO_NAME_MISMATCH] =
        "The type at path '%p' has another name in the %r schema than in the %w schema: keep the name, or"
        " give the type an alias",
    [TG_AVRO_FIXED_SIZE_MISMATCH] =
        "The fixed type at path '%p' in the %r schema has another size than in the %w schema: keep the size, or"
        " add a field of another name and type",
    [TG_AVRO_MISSING_ENUM_SYMBOLS] =
        "The %r schema is missing enum symbols '%n' of the %w schema at path '%p': keep the symbols, or"
        " have a default in the enum",
    [TG_AVRO_READER_FIELD_MISSING_DEFAULT_VALUE] =
        "The field '%n' at path '%p' in the %r schema has no default value and is missing in the %w schema:"
        " give the field a default, or an alias with the name that it had",
    [TG_AVRO_TYPE_MISMATCH] =
        "The type at path '%p' in the %r schema cannot read what the %w schema has there: keep the type or a"
        " wider one (int, long, float, double; string and bytes; a union that has it)",
    [TG_AVRO_MISSING_UNION_BRANCH] =
        "The %r schema is missing a type inside a union at path '%p' that the %w schema has: keep the branch",
};
// clang-format on

static const char *value_of(char placeholder, const tg_avro_incompatibility_t *found,
                            const char *reader, const char *writer)
{
    switch (placeholder) {
    case 'r':
        return reader;
    case 'w':
        return writer;
    case 'p':
        return found->path;
    default:
        assert(placeholder == 'n');
        return found->detail;
    }
}

static tg_status_t add_found(tg_findings_t *findings, const tg_avro_incompatibility_t *found,
                             const char *reader, const char *writer)
{
    assert(found->type < TG_AVRO_INCOMPATS);
    tg_buf_t text = tg_buf_make(MESSAGE_MAX);
    tg_buf_printf(&text, "{errorType:'%s', description:'", tg_avro_incompat_name(found->type));
    for (const char *at = descriptions[found->type]; *at != '\0'; at++) {
        if (*at != '%')
            tg_buf_byte(&text, *at);
        else
            tg_buf_str(&text, tg_str_from(value_of(*++at, found, reader, writer)));
    }
    tg_buf_printf(&text, "', additionalInfo:'%s'}", found->detail);
    return keep(findings, &text);
}

static bool is_full(const tg_findings_t *findings)
{
    return findings->count + ROOM_FOR_ENDS >= TG_FINDINGS_MAX;
}

tg_status_t tg_findings_add(tg_findings_t *findings, const char *error_type,
                            const char *description)
{
    assert(findings != NULL);
    if (is_full(findings))
        return TG_OK;
    tg_buf_t text = tg_buf_make(MESSAGE_MAX);
    tg_buf_printf(&text, "{errorType:'%s', description:'%s', additionalInfo:''}", error_type,
                  description);
    return keep(findings, &text);
}

/* --- one pair --- */

static tg_status_t compare(const tg_avro_type_t *reader, const tg_avro_type_t *writer,
                           const char *reader_name, const char *writer_name,
                           tg_findings_t *findings)
{
    tg_avro_compat_t compat = {.compatible = true};
    tg_status_t status = tg_avro_compat_check(reader, writer, &compat);
    if (status == TG_TOO_LARGE)
        return tg_findings_add(findings, "TOO_LARGE",
                               "The two schemas are too large or too deep to be compared.");
    for (size_t i = 0; status == TG_OK && i < compat.count && !is_full(findings); i++)
        status = add_found(findings, &compat.found[i], reader_name, writer_name);
    tg_avro_compat_dispose(&compat);
    return status;
}

/* "{oldSchemaVersion: 1}" and "{oldSchema: '…'}". */
static tg_status_t add_earlier(tg_findings_t *findings, const tg_avro_schema_t *earlier,
                               int version)
{
    tg_buf_t text = tg_buf_make(MESSAGE_MAX);
    tg_buf_printf(&text, "{oldSchemaVersion: %d}", version);
    tg_status_t status = keep(findings, &text);
    if (status != TG_OK)
        return status;
    tg_buf_t printed = tg_buf_make(PRINTED_MAX);
    status = tg_avro_print(earlier, &printed);
    if (status == TG_OK) {
        bool cut = printed.len > TG_FINDINGS_TEXT_MAX;
        text = tg_buf_make(TG_FINDINGS_TEXT_MAX + MESSAGE_MAX);
        tg_buf_str(&text, cut ? TG_STR("{oldSchema: <truncated> '") : TG_STR("{oldSchema: '"));
        tg_buf_append(&text, printed.data, cut ? TG_FINDINGS_TEXT_MAX : printed.len);
        tg_buf_str(&text, cut ? TG_STR("...'}") : TG_STR("'}"));
        status = keep(findings, &text);
    }
    tg_buf_dispose(&printed);
    return status;
}

tg_status_t tg_compatibility_compare(tg_level_t level, const tg_avro_type_t *root,
                                     const tg_avro_schema_t *earlier, int version,
                                     tg_findings_t *findings)
{
    assert(root != NULL);
    assert(findings != NULL && findings->arena != NULL);
    const tg_avro_type_t *old = tg_avro_schema_root(earlier);
    size_t before = findings->count;
    tg_status_t status = TG_OK;
    if (directions[level] & IS_READ)
        status = compare(old, root, "old", "new", findings);
    if (status == TG_OK && directions[level] & READS)
        status = compare(root, old, "new", "old", findings);
    if (status != TG_OK || findings->count == before)
        return status;
    return add_earlier(findings, earlier, version);
}

tg_status_t tg_findings_close(tg_findings_t *findings, tg_level_t level)
{
    assert(findings != NULL);
    if (findings->count == 0)
        return TG_OK;
    tg_buf_t text = tg_buf_make(MESSAGE_MAX);
    tg_buf_printf(&text, "{compatibility: '%s'}", tg_level_name(level));
    return keep(findings, &text);
}

/* --- answers --- */

void tg_findings_write_json(const tg_findings_t *findings, tg_buf_t *out)
{
    tg_buf_byte(out, '[');
    for (size_t i = 0; i < findings->count; i++) {
        if (i > 0)
            tg_buf_byte(out, ',');
        tg_buf_json_string(out, findings->messages[i]);
    }
    tg_buf_byte(out, ']');
}

void tg_findings_write_details(const tg_findings_t *findings, tg_buf_t *out)
{
    tg_buf_byte(out, '[');
    for (size_t i = 0; i < findings->count; i++) {
        if (i > 0)
            tg_buf_str(out, TG_STR(", "));
        tg_buf_str(out, findings->messages[i]);
    }
    tg_buf_byte(out, ']');
}
