/* See cli.h. */
#include "cli/cli.h"

tg_status_t tg_cli_session(tg_cli_t *cli, tg_error_t *error)
{
    assert(cli != NULL);
    if (cli->session != NULL)
        return TG_OK;
    return tg_session_open(cli->config->dsn, "tidegate", &cli->session, error);
}

void tg_cli_close(tg_cli_t *cli)
{
    assert(cli != NULL);
    tg_session_close(cli->session);
    cli->session = NULL;
}

tg_status_t tg_cli_query(tg_cli_t *cli, const char *sql, size_t count, const char *const *params,
                         PGresult **out_rows, tg_error_t *error)
{
    tg_status_t status = tg_cli_session(cli, error);
    if (status != TG_OK)
        return status;
    return tg_session_query(cli->session, sql, count, params, out_rows, error);
}

tg_status_t tg_cli_execute(tg_cli_t *cli, const char *sql, size_t count, const char *const *params,
                           uint64_t *out_changed, tg_error_t *error)
{
    PGresult *result = NULL;
    uint64_t changed = 0;

    tg_status_t status = tg_cli_query(cli, sql, count, params, &result, error);
    if (status != TG_OK)
        return status;
    if (tg_str_to_u64(tg_str_from(PQcmdTuples(result)), &changed) != TG_OK)
        changed = 0; /* a statement that counts no rows */
    PQclear(result);
    if (out_changed != NULL)
        *out_changed = changed;
    return TG_OK;
}

void tg_cli_print(FILE *out, const char *text, int width)
{
    assert(text != NULL);
    for (const char *c = text; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        (void)fputc(byte < ' ' || byte == 0x7f ? '?' : byte, out);
        width -= (byte & 0xc0U) != 0x80U;
    }
    for (; width > 0; width--)
        (void)fputc(' ', out);
}

/* Columns of a terminal, near enough: characters, not bytes. */
static int text_width(const char *text)
{
    int width = 0;
    for (const char *c = text; *c != '\0'; c++)
        width += ((unsigned char)*c & 0xc0U) != 0x80U;
    return width;
}

static int column_width(const PGresult *rows, int column)
{
    int width = text_width(PQfname(rows, column));
    for (int row = 0; row < PQntuples(rows); row++) {
        int cell = text_width(PQgetvalue(rows, row, column));
        width = cell > width ? cell : width;
    }
    return width;
}

static void print_rows(FILE *out, const PGresult *rows)
{
    int columns = PQnfields(rows);
    for (int row = -1; row < PQntuples(rows); row++) {
        for (int column = 0; column < columns; column++) {
            bool last = column == columns - 1;
            tg_cli_print(out, row < 0 ? PQfname(rows, column) : PQgetvalue(rows, row, column),
                         last ? 0 : column_width(rows, column) + 2);
        }
        (void)fputc('\n', out);
    }
}

tg_status_t tg_cli_list(tg_cli_t *cli, const char *sql, size_t count, const char *const *params,
                        tg_error_t *error)
{
    PGresult *rows = NULL;

    tg_status_t status = tg_cli_query(cli, sql, count, params, &rows, error);
    if (status != TG_OK)
        return status;
    print_rows(cli->out, rows);
    PQclear(rows);
    return TG_OK;
}

tg_status_t tg_cli_word(tg_args_t *args, const char *what, const char **out_word, tg_error_t *error)
{
    const char *word = tg_args_word(args);
    if (word == NULL)
        return tg_error_set(error, TG_INVALID, "%s is missing", what);
    *out_word = word;
    return TG_OK;
}

static tg_status_t only_word(tg_args_t *args, const char *what, const char **out_word,
                             tg_error_t *error)
{
    tg_status_t status = tg_cli_word(args, what, out_word, error);
    return status == TG_OK ? tg_args_done(args, error) : status;
}

tg_status_t tg_cli_show(tg_cli_t *cli, tg_args_t *args, const char *what, const char *sql,
                        tg_error_t *error)
{
    const char *id = NULL;
    tg_status_t status = only_word(args, what, &id, error);
    return status == TG_OK ? tg_cli_list(cli, sql, 1, &id, error) : status;
}

tg_status_t tg_cli_change(tg_cli_t *cli, tg_args_t *args, const char *what, const char *sql,
                          const char *noun, const char *done, tg_error_t *error)
{
    const char *id = NULL;
    tg_status_t status = only_word(args, what, &id, error);
    if (status == TG_OK)
        status = tg_cli_execute(cli, sql, 1, &id, NULL, error);
    if (status == TG_OK)
        (void)fprintf(cli->out, "%s %s %s\n", noun, id, done);
    return status;
}
