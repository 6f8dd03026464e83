/* A linear walk over some dozens of rows: each row costs a few compares of numbers that lie close
 * together, which is less than a hash of the path would. */
#include "common/http/shell/routes.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/http/params.h"

struct row {
    const tg_http_route_t *route;
    tg_str_t method;
    tg_str_t segments[TG_ROUTE_SEGMENTS_MAX]; /* ptr NULL: a :name */
    unsigned count;
    bool rest; /* the row ends in "*", which stands behind `count` segments */
};

/* What a row says of lengths: most rows are passed over by it. */
struct brief {
    uint8_t count, first, last; /* segments; bytes of the first and the last, 0: of any length */
    bool rest;
};

struct tg_routes {
    size_t count;
    struct brief *briefs; /* one for each row, behind them */
    struct row rows[];
};

struct path {
    tg_str_t segments[TG_PATH_SEGMENTS_MAX];
    unsigned count;
    bool slash; /* a segment decodes to text with a slash: no "*" takes it unawares */
};

static void compile(const tg_http_route_t *route, struct row *row)
{
    assert(route->method != NULL && route->method[0] != '\0');
    assert(route->path[0] == '/');
    assert(route->handler != NULL);
    row->route = route;
    row->method = tg_str_from(route->method);
    for (const char *at = route->path; *at == '/';) {
        const char *text = at + 1;
        size_t len = strcspn(text, "/");
        at = text + len;
        if (len == 1 && *text == '*') {
            row->rest = true;
            assert(*at == '\0');
            return;
        }
        assert(row->count < TG_ROUTE_SEGMENTS_MAX);
        row->segments[row->count++] = *text == ':' ? (tg_str_t){NULL, len} : (tg_str_t){text, len};
    }
}

static uint8_t length_of(tg_str_t segment)
{
    assert(segment.len <= UINT8_MAX);
    return segment.ptr == NULL ? 0 : (uint8_t)segment.len;
}

static struct brief brief_of(const struct row *row)
{
    struct brief brief = {.count = (uint8_t)row->count, .rest = row->rest};
    if (row->count > 0) {
        brief.first = length_of(row->segments[0]);
        brief.last = length_of(row->segments[row->count - 1]);
    }
    return brief;
}

tg_routes_t *tg_routes_create(const tg_http_route_t *routes, size_t count)
{
    tg_routes_t *table = calloc(1, sizeof(*table) + count * sizeof(table->rows[0]) +
                                       count * sizeof(table->briefs[0]));
    if (table == NULL)
        return NULL;
    table->count = count;
    table->briefs = (struct brief *)&table->rows[count];
    for (size_t i = 0; i < count; i++) {
        compile(&routes[i], &table->rows[i]);
        table->briefs[i] = brief_of(&table->rows[i]);
    }
    return table;
}

void tg_routes_destroy(tg_routes_t *routes)
{
    free(routes);
}

static tg_status_t add_segment(struct path *path, tg_str_t text, tg_arena_t *arena)
{
    if (path->count == TG_PATH_SEGMENTS_MAX)
        return TG_NOT_FOUND; /* deeper than any route */
    if (text.len > 0 && memchr(text.ptr, '%', text.len) != NULL) {
        tg_status_t status = tg_params_decode(text, false, arena, &text);
        if (status != TG_OK)
            return status;
        path->slash |= memchr(text.ptr, '/', text.len) != NULL;
    }
    if (tg_str_eq(text, TG_STR(".")) || tg_str_eq(text, TG_STR("..")))
        return TG_INVALID;
    path->segments[path->count++] = text;
    return TG_OK;
}

static tg_status_t split(tg_str_t text, tg_arena_t *arena, struct path *path)
{
    path->count = 0;
    path->slash = false;
    if (text.len == 0 || text.ptr[0] != '/')
        return TG_NOT_FOUND; /* "*" of OPTIONS */
    for (size_t at = 1; at <= text.len;) {
        const char *slash = at < text.len ? memchr(text.ptr + at, '/', text.len - at) : NULL;
        size_t end = slash == NULL ? text.len : (size_t)(slash - text.ptr);
        tg_status_t status = add_segment(path, (tg_str_t){text.ptr + at, end - at}, arena);
        if (status != TG_OK)
            return status;
        at = end + 1;
    }
    return TG_OK;
}

static bool segment_fits(tg_str_t own, tg_str_t given)
{
    return own.ptr == NULL ? given.len > 0 : tg_str_eq(own, given);
}

static bool lengths_fit(const struct brief *brief, const struct path *path)
{
    if (brief->rest ? path->count < brief->count : path->count != brief->count)
        return false;
    return brief->count == 0 ||
           ((brief->first == 0 || brief->first == path->segments[0].len) &&
            (brief->last == 0 || brief->last == path->segments[brief->count - 1].len));
}

static bool path_fits(const struct row *row, const struct path *path)
{
    if (row->rest && path->slash && (row->route->flags & TG_HTTP_ROUTE_SLASHES) == 0)
        return false;
    for (unsigned i = 0; i < row->count; i++)
        if (!segment_fits(row->segments[i], path->segments[i]))
            return false;
    return true;
}

static bool method_fits(const struct row *row, tg_str_t method)
{
    return tg_str_eq(row->method, method) ||
           (tg_str_eq(method, TG_STR("HEAD")) && tg_str_eq(row->method, TG_STR("GET")));
}

/* What "*" took, joined again: the segments may have been decoded each in its own place. */
static tg_status_t join_rest(const struct path *path, unsigned from, tg_arena_t *arena,
                             tg_str_t *out_rest)
{
    size_t len = 0;
    for (unsigned i = from; i < path->count; i++)
        len += path->segments[i].len + 1;
    char *bytes = tg_arena_alloc(arena, len + 1);
    if (bytes == NULL)
        return TG_NOMEM;
    size_t at = 0;
    for (unsigned i = from; i < path->count; i++) {
        if (i > from)
            bytes[at++] = '/';
        if (path->segments[i].len > 0)
            memcpy(bytes + at, path->segments[i].ptr, path->segments[i].len);
        at += path->segments[i].len;
    }
    *out_rest = (tg_str_t){bytes, at};
    return TG_OK;
}

static tg_status_t take_names(const struct row *row, const struct path *path, tg_arena_t *arena,
                              tg_route_match_t *match)
{
    assert(path->count >= row->count);
    match->route = row->route;
    match->name_count = 0;
    for (unsigned i = 0; i < row->count; i++)
        if (row->segments[i].ptr == NULL)
            match->names[match->name_count++] = path->segments[i];
    if (!row->rest)
        return TG_OK;
    assert(match->name_count < TG_ROUTE_SEGMENTS_MAX);
    return join_rest(path, row->count, arena, &match->names[match->name_count++]);
}

static void add_method(char *allow, const char *method)
{
    size_t used = strlen(allow);
    if (strstr(allow, method) == NULL)
        (void)snprintf(allow + used, TG_ROUTE_ALLOW_MAX - used, "%s%s", used > 0 ? ", " : "",
                       method);
}

static void note_allowed(char *allow, const struct row *row)
{
    add_method(allow, row->route->method);
    if (strcmp(row->route->method, "GET") == 0)
        add_method(allow, "HEAD");
}

tg_status_t tg_routes_find(const tg_routes_t *routes, tg_str_t method, tg_str_t path,
                           tg_arena_t *arena, tg_route_match_t *out_match)
{
    assert(routes != NULL && arena != NULL);
    TG_UNINITIALIZED struct path parts;
    tg_status_t status = split(path, arena, &parts);
    if (status != TG_OK)
        return status;
    out_match->near = NULL;
    out_match->allow[0] = '\0';
    for (size_t i = 0; i < routes->count; i++) {
        const struct row *row = &routes->rows[i];
        if (!lengths_fit(&routes->briefs[i], &parts) || !path_fits(row, &parts))
            continue;
        if (method_fits(row, method))
            return take_names(row, &parts, arena, out_match);
        if (out_match->near == NULL)
            out_match->near = row->route;
        note_allowed(out_match->allow, row);
    }
    if (out_match->near == NULL)
        return TG_NOT_FOUND;
    add_method(out_match->allow, "OPTIONS");
    return TG_CONFLICT;
}

void tg_routes_methods(const tg_routes_t *routes, char out_allow[TG_ROUTE_ALLOW_MAX])
{
    out_allow[0] = '\0';
    for (size_t i = 0; i < routes->count; i++)
        note_allowed(out_allow, &routes->rows[i]);
    add_method(out_allow, "OPTIONS");
}

static unsigned count_common(const struct row *row, tg_str_t path)
{
    unsigned count = 0;
    while (count < row->count && path.len > 0 && path.ptr[0] == '/') {
        const char *slash = memchr(path.ptr + 1, '/', path.len - 1);
        size_t end = slash == NULL ? path.len : (size_t)(slash - path.ptr);
        if (!segment_fits(row->segments[count], (tg_str_t){path.ptr + 1, end - 1}))
            break;
        path.ptr += end;
        path.len -= end;
        count++;
    }
    return count;
}

const tg_http_route_t *tg_routes_nearest(const tg_routes_t *routes, tg_str_t path)
{
    const tg_http_route_t *nearest = NULL;
    unsigned most = 0;
    for (size_t i = 0; i < routes->count; i++) {
        unsigned common = count_common(&routes->rows[i], path);
        if (nearest == NULL || common > most) {
            nearest = routes->rows[i].route;
            most = common;
        }
    }
    return nearest;
}
