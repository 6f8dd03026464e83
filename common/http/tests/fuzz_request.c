/* libFuzzer: any bytes as a request head through the guard, as h2o would call it, and any bytes as
 * a chunked body. What the guard accepts is checked again here in plain words, and a body that it
 * accepts must be decoded to the same bytes by the library's own, laxer decoder. */
#include <dlfcn.h>
#include <stdlib.h>
#include <strings.h>

#include "common/http/chunked.h"
#include "common/http/guard.h"
#include "common/http/phr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static unsigned count_named(const struct phr_header *headers, size_t count, const char *name)
{
    unsigned found = 0;
    for (size_t i = 0; i < count; i++)
        found += headers[i].name_len == strlen(name) &&
                 strncasecmp(headers[i].name, name, strlen(name)) == 0;
    return found;
}

/* What says who asks, or what the body is, has one value. */
static void check_once(const struct phr_header *headers, size_t count)
{
    static const char *const names[] = {"authorization", "x-api-key",         "content-type",
                                        "origin",        "x-tidegate-tenant", "ce-id",
                                        "expect",        "content-encoding"};
    require(count <= 100);
    for (size_t i = 0; i < TG_ARRAY_LEN(names); i++)
        require(count_named(headers, count, names[i]) <= 1);
}

static void fuzz_head(const char *bytes, size_t size)
{
    struct phr_header headers[100];
    const char *method, *path;
    size_t method_len, path_len, count = TG_ARRAY_LEN(headers);
    int minor_version;
    int head = phr_parse_request(bytes, size, &method, &method_len, &path, &path_len,
                                 &minor_version, headers, &count, 0);
    require(head >= -2 && head <= (int)size);
    if (head <= 0)
        return;
    bool is_head;
    if (tg_http_guard_refusal(method, &is_head) != NULL) {
        require(count == 0 && head == (int)size);
        require(path_len > 0 && path_len <= TG_GUARD_PATH_MAX && path[0] == '/');
        return;
    }
    check_once(headers, count);
    unsigned hosts = count_named(headers, count, "host");
    unsigned lengths = count_named(headers, count, "content-length");
    unsigned codings = count_named(headers, count, "transfer-encoding");
    require(hosts == 1 || (hosts == 0 && minor_version == 0));
    require(lengths + codings <= 1);
    require(path_len > 0 && (path[0] == '/' || path[0] == '*'));
    require(method_len <= 7 && method[0] >= 'A' && method[0] <= 'Z');
    require(minor_version == 1 || count_named(headers, count, "expect") == 0);
    require((size_t)head <= TG_HTTP_HEAD_MAX);
    for (size_t i = 0; i < count; i++)
        require(headers[i].name != NULL && headers[i].name_len > 0);
}

static void fuzz_chunks(const char *bytes, size_t size)
{
    static ssize_t (*real)(struct phr_chunked_decoder *, char *, size_t *);
    if (real == NULL)
        *(void **)(void *)&real = dlsym(RTLD_NEXT, "phr_decode_chunked");
    char *ours = malloc(size + 1), *theirs = malloc(size + 1);
    if (ours != NULL && theirs != NULL) {
        memcpy(ours, bytes, size);
        memcpy(theirs, bytes, size);
        tg_chunked_t decoder = {0};
        struct phr_chunked_decoder lax = {.consume_trailer = 1};
        size_t our_len = size, their_len = size;
        ssize_t rest = tg_chunked_decode(&decoder, ours, &our_len);
        require(our_len <= size);
        if (rest >= 0) {
            require(real(&lax, theirs, &their_len) == rest);
            require(our_len == their_len && memcmp(ours, theirs, our_len + (size_t)rest) == 0);
        }
    }
    free(ours);
    free(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0)
        fuzz_head((const char *)data + 1, size - 1);
    else
        fuzz_chunks((const char *)data + 1, size - 1);
    return 0;
}
