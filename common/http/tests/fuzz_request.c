/* libFuzzer: any bytes as a request head through the guard, as h2o would call it, and any bytes as
 * a chunked body. What the guard accepts is checked again here in plain words, must be the same
 * when it comes in two pieces, and must be read the same way by the library's own, laxer parsers.
 */
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

typedef int (*parse_fn)(const char *, size_t, const char **, size_t *, const char **, size_t *,
                        int *, struct phr_header *, size_t *, size_t);

struct parsed {
    int head, minor_version;
    tg_str_t method, path;
    size_t count;
    struct phr_header headers[100];
};

static void parse(parse_fn with, const char *bytes, size_t size, size_t seen, struct parsed *out)
{
    out->count = TG_ARRAY_LEN(out->headers);
    out->head = with(bytes, size, &out->method.ptr, &out->method.len, &out->path.ptr,
                     &out->path.len, &out->minor_version, out->headers, &out->count, seen);
    require(out->head >= -2 && out->head <= (int)size);
}

static bool is_refused(const struct parsed *parsed)
{
    bool is_head;
    return parsed->head <= 0 || tg_http_guard_refusal(parsed->method.ptr, &is_head) != NULL;
}

/* The guard trims values and leaves out what HTTP/1.0 cannot mean. */
static void check_fields(const struct parsed *ours, const struct parsed *theirs)
{
    size_t at = 0;
    for (size_t i = 0; i < ours->count; i++, at++) {
        while (at < theirs->count && theirs->headers[at].name != ours->headers[i].name)
            at++;
        require(at < theirs->count);
        const struct phr_header *own = &ours->headers[i], *other = &theirs->headers[at];
        require(own->name_len == other->name_len && own->value_len <= other->value_len);
        require(own->value_len == 0 || own->value == other->value);
        for (size_t j = own->value_len; j < other->value_len; j++)
            require(other->value[j] == ' ' || other->value[j] == '\t');
    }
}

static void check_accepted(const struct parsed *parsed)
{
    const struct phr_header *headers = parsed->headers;
    const size_t count = parsed->count;
    check_once(headers, count);
    unsigned hosts = count_named(headers, count, "host");
    unsigned lengths = count_named(headers, count, "content-length");
    unsigned codings = count_named(headers, count, "transfer-encoding");
    require(hosts == 1 || (hosts == 0 && parsed->minor_version == 0));
    require(lengths + codings <= 1);
    require(parsed->path.len > 0 && (parsed->path.ptr[0] == '/' || parsed->path.ptr[0] == '*'));
    require(parsed->method.len <= 7 && parsed->method.ptr[0] >= 'A' &&
            parsed->method.ptr[0] <= 'Z');
    require(parsed->minor_version == 1 || count_named(headers, count, "expect") == 0);
    require((size_t)parsed->head <= TG_HTTP_HEAD_MAX);
    for (size_t i = 0; i < count; i++)
        require(headers[i].name != NULL && headers[i].name_len > 0);
}

static void fuzz_head(const char *bytes, size_t size, size_t cut)
{
    static struct parsed whole, first, second, theirs;
    static parse_fn real;
    if (real == NULL)
        *(void **)(void *)&real = dlsym(RTLD_NEXT, "phr_parse_request");
    parse(phr_parse_request, bytes, size, 0, &whole);
    parse(phr_parse_request, bytes, cut, 0, &first);
    if (is_refused(&whole)) {
        require(whole.head <= 0 || (whole.count == 0 && whole.head == (int)size));
        require(whole.head <= 0 || (whole.path.len > 0 && whole.path.len <= TG_GUARD_PATH_MAX &&
                                    whole.path.ptr[0] == '/'));
        return;
    }
    check_accepted(&whole);
    parse(real, bytes, size, 0, &theirs);
    require(theirs.head == whole.head && theirs.minor_version == whole.minor_version);
    require(tg_str_eq(theirs.method, whole.method));
    require(whole.path.ptr + whole.path.len == theirs.path.ptr + theirs.path.len);
    check_fields(&whole, &theirs);
    if (first.head == -2) {
        parse(phr_parse_request, bytes, size, cut, &second);
        require(second.head == whole.head && second.count == whole.count);
    } else {
        require(first.head == whole.head && !is_refused(&first));
    }
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
        fuzz_head((const char *)data + 1, size - 1, (data[0] / 2) % size);
    else
        fuzz_chunks((const char *)data + 1, size - 1);
    return 0;
}
