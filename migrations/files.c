/* See files.h. */
#include "migrations/files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_LEN 4

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static bool ends_in_sql(tg_str_t name)
{
    return name.len >= 4 && memcmp(name.ptr + name.len - 4, ".sql", 4) == 0;
}

int tg_migration_number(tg_str_t name)
{
    uint64_t number = 0;

    if (name.len >= TG_MIGRATION_NAME_MAX || name.len <= NUMBER_LEN + 1 + 4 || !ends_in_sql(name))
        return 0;
    if (tg_str_to_u64((tg_str_t){name.ptr, NUMBER_LEN}, &number) != TG_OK ||
        name.ptr[NUMBER_LEN] != '_')
        return 0;
    for (size_t i = NUMBER_LEN + 1; i < name.len - 4; i++) {
        if (!is_name_char(name.ptr[i]))
            return 0;
    }
    return (int)number;
}

/* Reads one byte more than allowed, so that a longer file shows. */
static tg_status_t read_text(const char *path, char **out_text, size_t *out_len, tg_error_t *error)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return tg_error_set(error, TG_NOT_FOUND, "%s: %s", path, strerror(errno));
    char *text = malloc(TG_MIGRATION_TEXT_MAX + 1);
    if (text == NULL) {
        (void)fclose(file);
        return tg_error_set(error, TG_NOMEM, "out of memory");
    }
    size_t len = fread(text, 1, TG_MIGRATION_TEXT_MAX + 1, file);
    bool bad = ferror(file) != 0;
    (void)fclose(file);

    tg_status_t status = TG_OK;
    if (bad)
        status = tg_error_set(error, TG_UNAVAILABLE, "%s: cannot be read", path);
    else if (len > TG_MIGRATION_TEXT_MAX)
        status = tg_error_set(error, TG_TOO_LARGE, "%s: longer than 1 MiB", path);
    else if (memchr(text, '\0', len) != NULL)
        status = tg_error_set(error, TG_INVALID, "%s: holds a NUL byte", path);
    if (status != TG_OK) {
        free(text);
        return status;
    }
    text[len] = '\0';
    char *fitted = realloc(text, len + 1);
    *out_text = fitted != NULL ? fitted : text;
    *out_len = len;
    return TG_OK;
}

static tg_status_t add_file(tg_migration_files_t *files, const char *folder, const char *name,
                            tg_error_t *error)
{
    char path[4096];
    uint8_t digest[TG_SHA256_LEN];
    size_t len = 0;
    tg_migration_t *item = &files->items[files->count];

    int number = tg_migration_number(tg_str_from(name));
    if (number == 0)
        return tg_error_set(error, TG_INVALID, "%s/%s: the name must be NNNN_name.sql", folder,
                            name);
    const tg_migration_t *other = tg_migration_find(files, number);
    if (other != NULL)
        return tg_error_set(error, TG_CONFLICT, "%s/%s: %s has the same number", folder, name,
                            other->name);
    if (files->count == TG_MIGRATIONS_MAX)
        return tg_error_set(error, TG_TOO_LARGE, "more than %d migrations", TG_MIGRATIONS_MAX);
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) >= sizeof(path))
        return tg_error_set(error, TG_TOO_LARGE, "%s/%s: the path is too long", folder, name);

    tg_status_t status = read_text(path, &item->text, &len, error);
    if (status != TG_OK)
        return status;
    item->number = number;
    memcpy(item->name, name, strlen(name) + 1);
    tg_hash_sha256((tg_str_t){item->text, len}, digest);
    tg_hash_hex(digest, sizeof(digest), item->sha256);
    item->sha256[sizeof(item->sha256) - 1] = '\0';
    files->count++;
    return TG_OK;
}

static tg_status_t add_folder(tg_migration_files_t *files, const char *dir, const char *sub,
                              tg_error_t *error)
{
    char folder[3072];
    tg_status_t status = TG_OK;
    const struct dirent *entry;

    if ((size_t)snprintf(folder, sizeof(folder), "%s/%s", dir, sub) >= sizeof(folder))
        return tg_error_set(error, TG_TOO_LARGE, "%s: the path is too long", dir);
    DIR *stream = opendir(folder);
    if (stream == NULL)
        return tg_error_set(error, TG_NOT_FOUND, "%s: %s", folder, strerror(errno));
    while (status == TG_OK && (entry = readdir(stream)) != NULL) {
        if (ends_in_sql(tg_str_from(entry->d_name)))
            status = add_file(files, folder, entry->d_name, error);
    }
    (void)closedir(stream);
    return status;
}

static int by_number(const void *a, const void *b)
{
    const tg_migration_t *left = a, *right = b;
    return (left->number > right->number) - (left->number < right->number);
}

tg_status_t tg_migration_files_load(const char *dir, const char *engine,
                                    tg_migration_files_t *out_files, tg_error_t *error)
{
    assert(dir != NULL);
    assert(engine != NULL);
    *out_files = (tg_migration_files_t){0};

    /* One more than the limit: add_file writes behind the last before it counts it. */
    out_files->items = calloc(TG_MIGRATIONS_MAX + 1, sizeof(*out_files->items));
    if (out_files->items == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    tg_status_t status = add_folder(out_files, dir, "common", error);
    if (status == TG_OK)
        status = add_folder(out_files, dir, engine, error);
    if (status == TG_OK)
        qsort(out_files->items, out_files->count, sizeof(*out_files->items), by_number);
    return status;
}

void tg_migration_files_dispose(tg_migration_files_t *files)
{
    assert(files != NULL);
    for (size_t i = 0; i < files->count; i++)
        free(files->items[i].text);
    free(files->items);
    *files = (tg_migration_files_t){0};
}

const tg_migration_t *tg_migration_find(const tg_migration_files_t *files, int number)
{
    assert(files != NULL);
    for (size_t i = 0; i < files->count; i++) {
        if (files->items[i].number == number)
            return &files->items[i];
    }
    return NULL;
}
