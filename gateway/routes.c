/* The table and its two readers. A new public path is a new row. */
#include "gateway/routes.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/docs/docs.h"

#define REGISTRY_PREFIX "/v2/registry"
#define V1_BODY         ((size_t)1 << 20)  /* one event; ingestion itself allows 256 KiB */
#define V2_BODY         ((size_t)10 << 20) /* a batch */

// clang-format off
static const tg_public_route_t public_routes[] = {
    {"POST",   "/events/:type",  true,  TG_UP_INGESTION, TG_SCOPE_INGEST,   TG_CLASS_INGEST, V1_BODY, TG_HTTP_V1},
    {"GET",    "/kpi/*",         true,  TG_UP_QUERY,     TG_SCOPE_READ,     TG_CLASS_READ,   0,       TG_HTTP_V1},
    {"GET",    "/metrics",       true,  TG_UP_QUERY,     TG_SCOPE_READ,     TG_CLASS_READ,   0,       TG_HTTP_V1},
    {"GET",    "/metrics/*",     true,  TG_UP_QUERY,     TG_SCOPE_READ,     TG_CLASS_READ,   0,       TG_HTTP_V1},
    {"GET",    "/streams/*",     true,  TG_UP_QUERY,     TG_SCOPE_READ,     TG_CLASS_READ,   0,       TG_HTTP_V1},
    {"GET",    "/signals",      true,  TG_UP_QUERY,     TG_SCOPE_READ,     TG_CLASS_READ,   0,       TG_HTTP_V1},
    {"GET",    "/anomalies",    true,  TG_UP_QUERY,     TG_SCOPE_READ,     TG_CLASS_READ,   0,       TG_HTTP_V1},
    {"GET",    "/alerts",       true,  TG_UP_QUERY,     TG_SCOPE_READ,     TG_CLASS_READ,   0,       TG_HTTP_V1},
    {"POST",   "/v2/events",     false, TG_UP_INGESTION, TG_SCOPE_INGEST,   TG_CLASS_INGEST, V2_BODY, TG_HTTP_V2},
    {"GET",    "/v2/event-types", false, TG_UP_REGISTRY, TG_SCOPE_READ,   TG_CLASS_READ,   0,       TG_HTTP_V2},
};

/* Those of the registry: what they have in common, by method, and their paths (GET also stands for
 * HEAD). The registry's own table is their source; a test compares both. */
static const tg_public_route_t registry_routes[] = {
    {"GET",    REGISTRY_PREFIX, false, TG_UP_REGISTRY, TG_SCOPE_REGISTRY, TG_CLASS_REGISTRY, 0,       TG_HTTP_CONFLUENT},
    {"POST",   REGISTRY_PREFIX, false, TG_UP_REGISTRY, TG_SCOPE_REGISTRY, TG_CLASS_REGISTRY, V1_BODY, TG_HTTP_CONFLUENT},
    {"PUT",    REGISTRY_PREFIX, false, TG_UP_REGISTRY, TG_SCOPE_REGISTRY, TG_CLASS_REGISTRY, V1_BODY, TG_HTTP_CONFLUENT},
    {"DELETE", REGISTRY_PREFIX, false, TG_UP_REGISTRY, TG_SCOPE_REGISTRY, TG_CLASS_REGISTRY, V1_BODY, TG_HTTP_CONFLUENT},
};
static const struct {
    const char *methods, *path;
} registry_paths[] = {
    {"GET",             ""},
    {"GET",             "/"},
    {"GET",             "/schemas"},
    {"GET",             "/schemas/types"},
    {"GET",             "/schemas/ids/:id"},
    {"GET",             "/schemas/ids/:id/schema"},
    {"GET",             "/schemas/ids/:id/subjects"},
    {"GET",             "/schemas/ids/:id/versions"},
    {"GET",             "/schemas/guids/:guid"},
    {"GET",             "/schemas/guids/:guid/ids"},
    {"GET",             "/subjects"},
    {"POST DELETE",     "/subjects/:subject"},
    {"GET",             "/subjects/:subject/metadata"},
    {"GET POST",        "/subjects/:subject/versions"},
    {"GET DELETE",      "/subjects/:subject/versions/:version"},
    {"GET",             "/subjects/:subject/versions/:version/schema"},
    {"GET",             "/subjects/:subject/versions/:version/referencedby"},
    {"POST",            "/compatibility/subjects/:subject/versions"},
    {"POST",            "/compatibility/subjects/:subject/versions/:version"},
    {"GET PUT DELETE",  "/config"},
    {"GET PUT DELETE",  "/config/:subject"},
    {"GET PUT DELETE",  "/mode"},
    {"GET PUT DELETE",  "/mode/:subject"},
    {"GET",             "/contexts"},
    {"GET POST PUT DELETE", "/contexts/:context/*"},
    {"GET",             "/v1/metadata/id"},
    {"GET",             "/v1/metadata/version"},
};
// clang-format on

static const char *const v1_prefixes[] = {"/v1", "/api/v1", ""};

const char *tg_upstream_name(tg_upstream_t upstream)
{
    static const char *const names[TG_UP_COUNT] = {"ingestion", "query", "registry"};
    assert(upstream < TG_UP_COUNT);
    return names[upstream];
}

/* Open to all: no key, no bucket. */
static const struct {
    const char *path;
    tg_http_handler_fn handler;
} open_routes[] = {{"/health", tg_http_handle_health}, {"/ready", tg_http_handle_ready}};

/* One owned row of the shell's table, whose path is in two parts. */
static tg_status_t expand_row(const tg_public_route_t *source, const char *prefix, const char *rest,
                              tg_http_handler_fn handler, tg_http_route_t *out_row)
{
    char *path = NULL;
    if (asprintf(&path, "%s%s", prefix, rest) < 0)
        return TG_NOMEM;
    assert(path[0] == '/');
    *out_row = (tg_http_route_t){.method = source->method,
                                 .path = path,
                                 .handler = handler,
                                 .max_body = source->max_body,
                                 .format = source->format,
                                 .flags = source->upstream == TG_UP_REGISTRY
                                              ? TG_HTTP_ROUTE_SLASHES /* in subjects */
                                              : 0,
                                 .user = source};
    return TG_OK;
}

/* The row under each of its prefixes; *count grows by those made. */
static tg_status_t expand(const tg_public_route_t *source, tg_http_handler_fn handler,
                          tg_http_route_t *rows, size_t *count)
{
    size_t prefixes = source->v1 ? TG_ARRAY_LEN(v1_prefixes) : 1;
    for (size_t i = 0; i < prefixes; i++) {
        const char *prefix = source->v1 ? v1_prefixes[i] : "";
        if (expand_row(source, prefix, source->path, handler, &rows[*count]) != TG_OK)
            return TG_NOMEM;
        (*count)++;
    }
    return TG_OK;
}

static tg_status_t expand_registry(tg_http_handler_fn handler, tg_http_route_t *rows, size_t *count)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(registry_paths); i++) {
        for (size_t k = 0; k < TG_ARRAY_LEN(registry_routes); k++) {
            const tg_public_route_t *route = &registry_routes[k];
            if (strstr(registry_paths[i].methods, route->method) == NULL)
                continue;
            if (expand_row(route, REGISTRY_PREFIX, registry_paths[i].path, handler,
                           &rows[*count]) != TG_OK)
                return TG_NOMEM;
            (*count)++;
        }
    }
    return TG_OK;
}

/* `user` is the handler's: no public route stands behind it. */
static tg_status_t expand_open(const char *path, tg_http_handler_fn handler, const void *user,
                               tg_http_route_t *rows, size_t *count)
{
    const tg_public_route_t open = {.method = "GET", .path = path, .upstream = TG_UP_COUNT};
    tg_status_t status = expand(&open, handler, rows, count);
    if (status == TG_OK)
        rows[*count - 1].user = user;
    return status;
}

static tg_status_t expand_docs(tg_http_route_t *rows, size_t *count)
{
    tg_status_t status = TG_OK;
    const tg_docs_file_t *file;
    for (size_t i = 0; status == TG_OK && (file = tg_docs_file(i)) != NULL; i++)
        status = expand_open(file->path, tg_docs_handle, file, rows, count);
    return status;
}

static size_t docs_count(void)
{
    size_t count = 0;
    while (tg_docs_file(count) != NULL)
        count++;
    return count;
}

tg_http_route_t *tg_routes_expand(tg_http_handler_fn handler, size_t *out_count)
{
    assert(handler != NULL && out_count != NULL);
    const size_t most = TG_ARRAY_LEN(open_routes) + docs_count() +
                        TG_ARRAY_LEN(public_routes) * TG_ARRAY_LEN(v1_prefixes) +
                        TG_ARRAY_LEN(registry_paths) * TG_ARRAY_LEN(registry_routes);
    tg_http_route_t *rows = calloc(most, sizeof(*rows));
    if (rows == NULL)
        return NULL;
    size_t count = 0;
    tg_status_t status = TG_OK;
    for (size_t i = 0; status == TG_OK && i < TG_ARRAY_LEN(open_routes); i++)
        status = expand_open(open_routes[i].path, open_routes[i].handler, NULL, rows, &count);
    if (status == TG_OK)
        status = expand_docs(rows, &count);
    for (size_t i = 0; status == TG_OK && i < TG_ARRAY_LEN(public_routes); i++)
        status = expand(&public_routes[i], handler, rows, &count);
    if (status == TG_OK)
        status = expand_registry(handler, rows, &count);
    if (status != TG_OK) {
        tg_routes_dispose(rows, count);
        return NULL;
    }
    assert(count <= most);
    *out_count = count;
    return rows;
}

void tg_routes_dispose(tg_http_route_t *routes, size_t count)
{
    if (routes == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)routes[i].path); /* expand_row made it */
    free(routes);
}

/* RFC 3986 section 3.3 pchar without '%', which is always written anew, and '/'. */
static bool may_stand_in_path(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') ||
           (byte != 0 && strchr("/-._~!$&'()*+,;=:@", byte) != NULL);
}

/* A query goes on as it came, but for bytes that have no place in a request line. */
static bool may_stand_in_query(unsigned char byte)
{
    return byte > ' ' && byte < 0x7f && byte != '#';
}

static void append_escape(tg_buf_t *out, unsigned char byte)
{
    static const char digits[] = "0123456789ABCDEF";
    const char escape[3] = {'%', digits[byte >> 4], digits[byte & 15]};
    tg_buf_append(out, escape, sizeof(escape));
}

static void append_query(tg_buf_t *out, tg_str_t query)
{
    for (size_t i = 0; i < query.len; i++) {
        unsigned char byte = (unsigned char)query.ptr[i];
        if (may_stand_in_query(byte))
            tg_buf_byte(out, (char)byte);
        else
            append_escape(out, byte);
    }
}

/* The value of the escape at `at`, or -1 when there is none. */
static int read_escape(tg_str_t text, size_t at)
{
    assert(at < text.len);
    if (text.ptr[at] != '%' || text.len - at < 3 || !isxdigit((unsigned char)text.ptr[at + 1]) ||
        !isxdigit((unsigned char)text.ptr[at + 2]))
        return -1;
    const char pair[3] = {text.ptr[at + 1], text.ptr[at + 2], '\0'};
    return (int)strtol(pair, NULL, 16);
}

/* What needs no second look, at once; returns where it ends. */
static size_t append_plain(tg_buf_t *out, tg_str_t path, size_t from)
{
    size_t end = from;
    while (end < path.len && may_stand_in_path((unsigned char)path.ptr[end]))
        end++;
    tg_buf_append(out, path.ptr + from, end - from);
    return end;
}

/* One spelling for each path (RFC 3986 section 6.2.2): an escape that is not needed is undone, a
 * needed one is written in upper case, and what may not stand in a path is escaped. An escaped
 * slash stays one: it is no separator. */
static void append_path(tg_buf_t *out, tg_str_t path)
{
    for (size_t i = append_plain(out, path, 0); i < path.len; i = append_plain(out, path, i)) {
        int escaped = read_escape(path, i);
        unsigned char byte = escaped < 0 ? (unsigned char)path.ptr[i] : (unsigned char)escaped;
        if (may_stand_in_path(byte) && !(escaped >= 0 && byte == '/'))
            tg_buf_byte(out, (char)byte);
        else
            append_escape(out, byte);
        i += escaped < 0 ? 1 : 3;
    }
}

static tg_str_t without_prefix(tg_str_t path, tg_str_t prefix)
{
    assert(prefix.len > 0);
    if (path.len >= prefix.len && memcmp(path.ptr, prefix.ptr, prefix.len) == 0 &&
        (path.len == prefix.len || path.ptr[prefix.len] == '/'))
        return (tg_str_t){path.ptr + prefix.len, path.len - prefix.len};
    return path;
}

/* Behind room for the prefix of v1, which goes where the client's own prefixes stood. */
tg_str_t tg_routes_target(const tg_public_route_t *route, tg_str_t path, tg_str_t query,
                          tg_buf_t *buf)
{
    static const tg_str_t v1 = TG_STR("/v1");
    assert(route != NULL);
    assert(path.len > 0 && path.ptr[0] == '/');
    tg_buf_clear(buf);
    tg_buf_str(buf, v1);
    append_path(buf, path);
    if (buf->failed)
        return (tg_str_t){NULL, 0};
    tg_str_t rest = {buf->data + v1.len, buf->len - v1.len};
    if (route->v1)
        rest = without_prefix(without_prefix(rest, TG_STR("/api")), v1);
    else if (route->upstream == TG_UP_REGISTRY)
        rest = without_prefix(rest, TG_STR(REGISTRY_PREFIX));
    size_t start = (size_t)(rest.ptr - buf->data);
    if (route->v1)
        memcpy(buf->data + (start -= v1.len), v1.ptr, v1.len);
    else if (rest.len == 0)
        buf->data[--start] = '/'; /* the registry's bare prefix */
    if (query.len > 0) {
        tg_buf_byte(buf, '?');
        append_query(buf, query);
    }
    return buf->failed ? (tg_str_t){NULL, 0} : (tg_str_t){buf->data + start, buf->len - start};
}
