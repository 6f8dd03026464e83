/* SQL of the settings. Each literal's address is the key of its prepared statement. */
#include "registry/settings/store.h"

#include <stdio.h>

#define COLUMNS                                                                                    \
    "configured, compatibility, normalize, alias, compatibility_group, default_metadata,"          \
    " override_metadata, mode"
enum {
    CONFIGURED,
    COMPATIBILITY,
    NORMALIZE,
    ALIAS,
    GROUP,
    DEFAULTS,
    OVERRIDES,
    MODE,
    COLUMN_COUNT
};

static const char scope_sql[] =
    "SELECT " COLUMNS ", context, subject FROM control.registry_settings"
    " WHERE (context, subject) IN (($1, $2), ($1, ''), ('" TG_CONTEXT_GLOBAL "', ''))";

/* $1 context, $2 subject, $3 the limit: a row that is there may always be changed. */
#define ROOM                                                                                       \
    "($1 = '' OR EXISTS (SELECT FROM control.registry_settings o WHERE o.context = $1"             \
    " AND o.subject = $2) OR (SELECT count(*) FROM control.registry_settings c"                    \
    " WHERE c.context = $1) < $3::bigint)"
// clang-format off
#define PATCHED(column) column " = CASE WHEN '" column "' = ANY ($4::text[]) THEN excluded." column " ELSE s." column " END"

static const char put_config_sql[] =
    "INSERT INTO control.registry_settings AS s (context, subject, configured, compatibility,"
    " normalize, alias, compatibility_group, default_metadata, override_metadata)"
    " SELECT $1, $2, true, $5, $6::boolean, $7, $8, $9, $10 WHERE " ROOM
    " ON CONFLICT (context, subject) DO UPDATE SET configured = true, changed_at = now(), "
    PATCHED("compatibility") ", " PATCHED("normalize") ", " PATCHED("alias") ", "
    PATCHED("compatibility_group") ", " PATCHED("default_metadata") ", "
    PATCHED("override_metadata") " RETURNING " COLUMNS;
// clang-format on

static const char clear_config_sql[] =
    "UPDATE control.registry_settings SET configured = false, compatibility = NULL,"
    " normalize = NULL, alias = NULL, compatibility_group = NULL, default_metadata = NULL,"
    " override_metadata = NULL, changed_at = now()"
    " WHERE context = $1 AND subject = $2 AND configured";

static const char put_mode_sql[] =
    "INSERT INTO control.registry_settings (context, subject, mode) SELECT $1, $2, $4 WHERE " ROOM
    " ON CONFLICT (context, subject) DO UPDATE SET mode = excluded.mode, changed_at = now()"
    " RETURNING " COLUMNS;

static const char clear_mode_sql[] =
    "UPDATE control.registry_settings SET mode = NULL, changed_at = now()"
    " WHERE context = $1 AND (subject = $2 OR $3::boolean) AND mode IS NOT NULL";

static const char sweep_sql[] =
    "DELETE FROM control.registry_settings WHERE context = $1 AND NOT configured AND mode IS NULL";

/* --- reading --- */

tg_pg_stmt_t tg_scope_stmt(tg_str_t context, tg_str_t subject)
{
    assert(context.ptr != NULL); /* NULL would be SQL NULL */
    assert(subject.ptr != NULL);
    return (tg_pg_stmt_t){scope_sql, 2, {context, subject}};
}

static bool keep(const PGresult *rows, int row, int column, tg_arena_t *arena, tg_str_t *out)
{
    tg_str_t cell = tg_pg_text(rows, row, column);
    *out = cell.ptr == NULL ? cell : tg_arena_copy(arena, cell);
    return cell.ptr == NULL || out->ptr != NULL;
}

static tg_choice_t choice(tg_str_t cell)
{
    if (cell.ptr == NULL)
        return TG_UNSAID;
    return tg_str_eq(cell, TG_STR("t")) ? TG_YES : TG_NO;
}

tg_status_t tg_settings_read(const PGresult *rows, int row, tg_arena_t *arena,
                             tg_subject_config_t *out_config)
{
    assert(PQnfields(rows) >= COLUMN_COUNT);
    tg_subject_config_t config = {
        .configured = tg_str_eq(tg_pg_text(rows, row, CONFIGURED), TG_STR("t")),
        .normalize = choice(tg_pg_text(rows, row, NORMALIZE)),
    };
    tg_str_t level = tg_pg_text(rows, row, COMPATIBILITY);
    tg_str_t mode = tg_pg_text(rows, row, MODE);
    /* The table's own checks know the same names. */
    if (level.ptr != NULL && tg_level_parse(level, &config.level) != TG_OK)
        return TG_INTERNAL;
    if (mode.ptr != NULL && tg_mode_parse(mode, &config.mode) != TG_OK)
        return TG_INTERNAL;
    bool kept = keep(rows, row, ALIAS, arena, &config.alias) &&
                keep(rows, row, GROUP, arena, &config.group) &&
                keep(rows, row, DEFAULTS, arena, &config.default_metadata) &&
                keep(rows, row, OVERRIDES, arena, &config.override_metadata);
    if (!kept)
        return TG_NOMEM;
    *out_config = config;
    return TG_OK;
}

tg_status_t tg_scope_read(const PGresult *rows, tg_str_t context, tg_str_t subject,
                          tg_arena_t *arena, tg_scope_t *out_scope)
{
    assert(rows != NULL);
    assert(out_scope != NULL);
    tg_scope_t scope = {.subject = {.configured = false}};
    for (int row = 0; row < PQntuples(rows); row++) {
        tg_subject_config_t config;
        tg_status_t status = tg_settings_read(rows, row, arena, &config);
        if (status != TG_OK)
            return status;
        tg_str_t its_context = tg_pg_text(rows, row, COLUMN_COUNT);
        tg_str_t its_subject = tg_pg_text(rows, row, COLUMN_COUNT + 1);
        bool own = tg_str_eq(its_context, context);
        if (own && tg_str_eq(its_subject, subject))
            scope.subject = config;
        if (own && its_subject.len == 0)
            scope.context = config;
        if (its_subject.len == 0 && tg_str_eq(its_context, TG_STR(TG_CONTEXT_GLOBAL)))
            scope.global = config;
    }
    tg_scope_settle(&scope);
    *out_scope = scope;
    return TG_OK;
}

/* --- changing --- */

static tg_str_t nothing(void)
{
    return (tg_str_t){NULL, 0};
}

static tg_str_t level_cell(tg_level_t level)
{
    return level == TG_LEVEL_UNSET ? nothing() : tg_str_from(tg_level_name(level));
}

static tg_str_t choice_cell(tg_choice_t said)
{
    if (said == TG_UNSAID)
        return nothing();
    return said == TG_YES ? TG_STR("t") : TG_STR("f");
}

static tg_str_t write_given(unsigned given, tg_config_given_t *out)
{
    static const char *const columns[TG_CONFIG_MEMBERS] = {
        [TG_CONFIG_LEVEL] = "compatibility",
        [TG_CONFIG_NORMALIZE] = "normalize",
        [TG_CONFIG_ALIAS] = "alias",
        [TG_CONFIG_GROUP] = "compatibility_group",
        [TG_CONFIG_DEFAULT_METADATA] = "default_metadata",
        [TG_CONFIG_OVERRIDE_METADATA] = "override_metadata",
    };
    size_t len = 0;
    const char *before = "{";
    for (size_t i = 0; i < TG_CONFIG_MEMBERS; i++) {
        if ((given & 1U << i) == 0)
            continue;
        int more = snprintf(out->text + len, sizeof(out->text) - len, "%s%s", before, columns[i]);
        assert(more > 0 && (size_t)more < sizeof(out->text) - len - 1);
        len += (size_t)more;
        before = ",";
    }
    if (len == 0)
        out->text[len++] = '{';
    out->text[len++] = '}';
    return (tg_str_t){out->text, len};
}

tg_pg_stmt_t tg_settings_put_config(const tg_config_patch_t *patch, tg_str_t context,
                                    tg_str_t subject, tg_str_t max_rows, tg_config_given_t *given)
{
    assert(patch != NULL);
    const tg_subject_config_t *values = &patch->values;
    return (tg_pg_stmt_t){put_config_sql,
                          10,
                          {context, subject, max_rows, write_given(patch->given, given),
                           level_cell(values->level), choice_cell(values->normalize), values->alias,
                           values->group, values->default_metadata, values->override_metadata}};
}

void tg_settings_drop_config(tg_str_t context, tg_str_t subject,
                             tg_pg_stmt_t stmts[TG_SETTINGS_STMTS])
{
    stmts[0] = (tg_pg_stmt_t){clear_config_sql, 2, {context, subject}};
    stmts[1] = (tg_pg_stmt_t){sweep_sql, 1, {context}};
}

tg_pg_stmt_t tg_settings_put_mode(tg_mode_t mode, tg_str_t context, tg_str_t subject,
                                  tg_str_t max_rows)
{
    assert(mode != TG_MODE_UNSET); /* dropping it is tg_settings_drop_mode's */
    return (tg_pg_stmt_t){put_mode_sql,
                          4,
                          {context, subject, max_rows, tg_str_from(tg_mode_name(mode))}};
}

void tg_settings_drop_mode(tg_str_t context, tg_str_t subject, bool recursive,
                           tg_pg_stmt_t stmts[TG_SETTINGS_STMTS])
{
    stmts[0] = (tg_pg_stmt_t){clear_mode_sql,
                              3,
                              {context, subject, recursive ? TG_STR("t") : TG_STR("f")}};
    stmts[1] = (tg_pg_stmt_t){sweep_sql, 1, {context}};
}
