/* How it gets in: the linker exports from this program each symbol that a library on its command
 * line refers to, and the dynamic linker binds libh2o's calls to the first definition in search
 * order, which is the program's. tg_http_guard_check fails the start if a build ever changes that.
 */
#include "common/http/guard.h"

#include <ctype.h>
#include <dlfcn.h>
#include <stdatomic.h>
#include <strings.h>

#include "common/http/chunked.h"
#include "common/http/head.h"
#include "common/http/phr.h"
#include "common/http/syntax.h"

typedef int (*parse_request_fn)(const char *, size_t, const char **, size_t *, const char **,
                                size_t *, int *, struct phr_header *, size_t *, size_t);

/* What h2o reads is what tg_head_split writes. */
_Static_assert(sizeof(struct phr_header) == sizeof(tg_http_header_t) &&
                   offsetof(struct phr_header, name) == offsetof(tg_http_header_t, name.ptr) &&
                   offsetof(struct phr_header, name_len) == offsetof(tg_http_header_t, name.len) &&
                   offsetof(struct phr_header, value) == offsetof(tg_http_header_t, value.ptr) &&
                   offsetof(struct phr_header, value_len) == offsetof(tg_http_header_t, value.len),
               "same layout");

static _Atomic uint64_t refused_total;

enum refusal {
    REFUSE_SYNTAX,
    REFUSE_LINE_END,
    REFUSE_VERSION,
    REFUSE_METHOD,
    REFUSE_UNKNOWN,
    REFUSE_TARGET,
    REFUSE_LONG_LINE,
    REFUSE_FOLD,
    REFUSE_NAME,
    REFUSE_VALUE,
    REFUSE_HOST,
    REFUSE_HOSTS,
    REFUSE_LENGTH,
    REFUSE_CODING,
    REFUSE_BOTH,
    REFUSE_REPEATED,
    REFUSE_EXPECT,
    REFUSE_FIELDS,
    REFUSE_HEAD_SIZE,
    REFUSE_COUNT,
    ACCEPT = REFUSE_COUNT,
};

// clang-format off
static const tg_guard_refusal_t refusals[REFUSE_COUNT] = {
    [REFUSE_SYNTAX]    = {400, "malformed_request", "The request is not HTTP/1.1."},
    [REFUSE_LINE_END]  = {400, "malformed_request", "Each line of the request's head must end in CR LF."},
    [REFUSE_VERSION]   = {505, "unsupported_version", "Only HTTP/1.0 and HTTP/1.1 are understood here."},
    [REFUSE_METHOD]    = {400, "malformed_request", "The method must be a token."},
    [REFUSE_UNKNOWN]   = {501, "not_implemented", "This method is not known here; there are GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS."},
    [REFUSE_TARGET]    = {400, "malformed_request", "The request target must be a path with valid percent-encoding."},
    [REFUSE_LONG_LINE] = {414, "uri_too_long", "The request line is longer than 32 KiB."},
    [REFUSE_FOLD]      = {400, "malformed_request", "Folded header lines are not accepted."},
    [REFUSE_NAME]      = {400, "malformed_request", "A header name must be a token, directly followed by a colon."},
    [REFUSE_VALUE]     = {400, "malformed_request", "A header value has a control character."},
    [REFUSE_HOST]      = {400, "malformed_request", "The Host header must be a host name or address with an optional port."},
    [REFUSE_HOSTS]     = {400, "malformed_request", "HTTP/1.1 needs exactly one Host header."},
    [REFUSE_LENGTH]    = {400, "malformed_request", "There must be at most one Content-Length, and it must be a decimal number."},
    [REFUSE_CODING]    = {400, "malformed_request", "The only transfer coding accepted is chunked, once, in HTTP/1.1."},
    [REFUSE_BOTH]      = {400, "malformed_request", "Content-Length and Transfer-Encoding exclude each other."},
    [REFUSE_REPEATED]  = {400, "repeated_header", "Authorization, X-API-Key, Content-Type, Content-Encoding, Idempotency-Key, Origin, Expect, ce-* and X-Tidegate-* may come once only."},
    [REFUSE_EXPECT]    = {417, "expectation_failed", "The only expectation understood is 100-continue."},
    [REFUSE_FIELDS]    = {431, "headers_too_large", "There are more than 100 header fields."},
    [REFUSE_HEAD_SIZE] = {431, "headers_too_large", "The request line and headers are larger than 32 KiB together."},
};
// clang-format on

/* A refused head is marked by the address of its method: one byte for each reason, behind them one
 * for each reason when the method was HEAD. No client can send a parenthesis in a method. */
static char marks[2 * REFUSE_COUNT];

/* Fields that name who asks, or what the body is, and have one value: of two, the next server might
 * take the other one. */
static const tg_str_t once[] = {
    TG_STR("authorization"),
    TG_STR("x-api-key"),
    TG_STR("content-type"),
    TG_STR("content-encoding"),
    TG_STR("origin"),
    TG_STR("expect"),
    TG_STR("idempotency-key"),
    TG_STR("x-tidegate-deadline-ms"),
    TG_STR("ce-id"),
    TG_STR("x-tidegate-secret"),
    TG_STR("x-tidegate-tenant"),
    TG_STR("ce-datacontenttype"),
    TG_STR("ce-type"),
    TG_STR("ce-time"),
    TG_STR("ce-source"),
    TG_STR("ce-subject"),
    TG_STR("ce-dataschema"),
    TG_STR("ce-specversion"),
};
_Static_assert(TG_ARRAY_LEN(once) <= 32, "one bit each");
#define ONCE_LEN 32
static uint32_t once_of_len[ONCE_LEN]; /* which of them have so many bytes */

static bool is_hex(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* --- the parts of a head --- */

/* A path and query of RFC 3986, each percent sign followed by two hex digits that are not 00. */
static bool is_path(tg_str_t text)
{
    if (text.len == 0 || text.ptr[0] != '/' || !tg_syntax_all_in(text, TG_IN_PATH))
        return false;
    const char *end = text.ptr + text.len;
    for (const char *p = memchr(text.ptr, '%', text.len); p != NULL;
         p = memchr(p + 1, '%', (size_t)(end - p - 1))) {
        if (end - p < 3 || !is_hex((unsigned char)p[1]) || !is_hex((unsigned char)p[2]) ||
            memcmp(p + 1, "00", 2) == 0)
            return false;
    }
    return true;
}

/* Absolute form must be understood (RFC 9112 section 3.2.2): what counts is its path. */
static void strip_authority(tg_str_t *target)
{
    size_t scheme = 0;
    if (target->len > 7 && strncasecmp(target->ptr, "http://", 7) == 0)
        scheme = 7;
    else if (target->len > 8 && strncasecmp(target->ptr, "https://", 8) == 0)
        scheme = 8;
    if (scheme == 0)
        return;
    const char *slash = memchr(target->ptr + scheme, '/', target->len - scheme);
    size_t skip = slash == NULL ? target->len : (size_t)(slash - target->ptr);
    target->ptr += skip;
    target->len -= skip;
}

/* RFC 9110 section 9, PATCH, and QUERY, which clients begin to speak; a proxy's CONNECT is nothing
 * that could ever be done here. Names of methods are case-sensitive. */
static bool is_known(tg_str_t method)
{
    static const char *const known[] = {"GET",   "POST",    "HEAD",  "PUT",  "DELETE",
                                        "PATCH", "OPTIONS", "TRACE", "QUERY"};
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++)
        if (tg_str_eq(method, tg_str_from(known[i])))
            return true;
    return false;
}

struct line {
    tg_str_t method, target;
    int minor_version;
};

/* METHOD SP target SP HTTP/d.d */
static enum refusal split_line(tg_str_t text, struct line *line)
{
    line->method = (tg_str_t){text.ptr, tg_syntax_span(text, TG_IN_TOKEN)};
    const char *at = text.ptr + line->method.len, *end = text.ptr + text.len;
    const char *space = at == end ? NULL : memchr(at, ' ', (size_t)(end - at));
    if (space == NULL)
        return REFUSE_SYNTAX;
    if (space != at || line->method.len == 0)
        return REFUSE_METHOD;
    at = space + 1;
    space = at == end ? NULL : memchr(at, ' ', (size_t)(end - at));
    line->target = (tg_str_t){at, (size_t)((space == NULL ? end : space) - at)};
    if (space == NULL)
        return REFUSE_SYNTAX;
    at = space + 1;
    if (end - at != 8 || memcmp(at, "HTTP/", 5) != 0 || !isdigit((unsigned char)at[5]) ||
        at[6] != '.' || !isdigit((unsigned char)at[7]))
        return REFUSE_SYNTAX;
    line->minor_version = at[7] - '0';
    return at[5] == '1' && line->minor_version <= 1 ? ACCEPT : REFUSE_VERSION;
}

static enum refusal check_line(tg_str_t text, struct line *line)
{
    enum refusal refusal = split_line(text, line);
    if (refusal != ACCEPT)
        return refusal;
    if (!is_known(line->method))
        return REFUSE_UNKNOWN;
    if (tg_str_eq(line->method, TG_STR("OPTIONS")) && tg_str_eq(line->target, TG_STR("*")))
        return ACCEPT;
    strip_authority(&line->target);
    return is_path(line->target) ? ACCEPT : REFUSE_TARGET;
}

static bool is_host(tg_str_t text)
{
    return text.len > 0 && text.len <= 255 && tg_syntax_all_in(text, TG_IN_HOST);
}

struct framing {
    unsigned hosts, lengths, codings;
    uint32_t seen; /* of `once` */
};

static enum refusal check_once(tg_str_t name, uint32_t *seen)
{
    if (name.len >= ONCE_LEN)
        return ACCEPT;
    for (uint32_t left = once_of_len[name.len]; left != 0; left &= left - 1) {
        const uint32_t bit = left & (0 - left);
        if (strncasecmp(name.ptr, once[__builtin_ctz(left)].ptr, name.len) != 0)
            continue;
        if ((*seen & bit) != 0)
            return REFUSE_REPEATED;
        *seen |= bit;
    }
    return ACCEPT;
}

static enum refusal check_field(const tg_http_header_t *field, int minor_version,
                                struct framing *framing)
{
    tg_str_t name = field->name, value = field->value;
    uint64_t length;
    if (tg_syntax_same(name, "host")) {
        framing->hosts++;
        return is_host(value) ? ACCEPT : REFUSE_HOST;
    }
    if (tg_syntax_same(name, "content-length"))
        return ++framing->lengths == 1 && tg_syntax_length(value, &length) ? ACCEPT : REFUSE_LENGTH;
    if (tg_syntax_same(name, "transfer-encoding"))
        return ++framing->codings == 1 && minor_version == 1 && tg_syntax_same(value, "chunked")
                   ? ACCEPT
                   : REFUSE_CODING;
    if (tg_syntax_same(name, "expect") && !tg_syntax_same(value, "100-continue"))
        return REFUSE_EXPECT;
    return check_once(name, &framing->seen);
}

/* A client of HTTP/1.0 does not know interim answers: its 100-continue must be ignored (RFC 9110
 * section 10.1.1), so h2o does not get to see it. */
static bool is_ignored(const tg_http_header_t *field, int minor_version)
{
    return minor_version == 0 && tg_syntax_same(field->name, "expect");
}

static enum refusal check_fields(tg_head_t *head, int minor_version)
{
    struct framing framing = {0};
    size_t kept = 0;
    for (size_t i = 0; i < head->count; i++) {
        enum refusal refusal = check_field(&head->fields[i], minor_version, &framing);
        if (refusal != ACCEPT)
            return refusal;
        if (!is_ignored(&head->fields[i], minor_version))
            head->fields[kept++] = head->fields[i];
    }
    head->count = kept;
    if (framing.hosts > 1 || (framing.hosts == 0 && minor_version == 1))
        return REFUSE_HOSTS;
    return framing.lengths > 0 && framing.codings > 0 ? REFUSE_BOTH : ACCEPT;
}

/* --- the two symbols that libh2o calls --- */

static bool is_blank(const char *buf, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (buf[i] != '\r' && buf[i] != '\n')
            return false;
    return len <= 4; /* h2o closes such a connection without an answer */
}

/* Which part is too large of a head that goes beyond TG_HTTP_HEAD_MAX. */
static enum refusal judge_size(const char *buf)
{
    return memchr(buf, '\n', TG_HTTP_HEAD_MAX) == NULL ? REFUSE_LONG_LINE : REFUSE_HEAD_SIZE;
}

/* ACCEPT also for a head that is good so far. */
static enum refusal judge(const char *buf, size_t len, tg_head_state_t state, tg_head_t *head,
                          struct line *line)
{
    if ((head->len > 0 ? head->len : len) > TG_HTTP_HEAD_MAX)
        return judge_size(buf);
    enum refusal refusal = head->line.ptr == NULL ? ACCEPT : check_line(head->line, line);
    if (refusal != ACCEPT)
        return refusal;
    switch (state) {
    case TG_HEAD_WHOLE:
        return check_fields(head, line->minor_version);
    case TG_HEAD_MORE:
        return ACCEPT;
    case TG_HEAD_LINE_END:
        return REFUSE_LINE_END;
    case TG_HEAD_CONTROL:
        return head->line.ptr == NULL ? REFUSE_SYNTAX : REFUSE_VALUE;
    case TG_HEAD_FOLD:
        return REFUSE_FOLD;
    case TG_HEAD_NAME:
        return REFUSE_NAME;
    case TG_HEAD_FIELDS:
        return REFUSE_FIELDS;
    }
    return REFUSE_SYNTAX;
}

/* The plain bytes that a target begins with: enough to tell which version of the API was meant. */
static tg_str_t plain_part(tg_str_t target)
{
    size_t len = 0;
    if (target.len == 0 || target.ptr[0] != '/')
        return TG_STR("/");
    while (len < target.len && len < TG_GUARD_PATH_MAX &&
           (target.ptr[len] == '/' || isalnum((unsigned char)target.ptr[len]) ||
            target.ptr[len] == '-'))
        len++;
    return (tg_str_t){target.ptr, len};
}

/* For the form of a refusal: what is there of the first line, if nobody has looked at it. */
static void guess_line(const char *buf, size_t len, struct line *line)
{
    const char *lf = memchr(buf, '\n', len);
    if (line->method.ptr == NULL && len > 0)
        (void)check_line((tg_str_t){buf, lf == NULL ? len : (size_t)(lf - buf)}, line);
}

/* Makes the line what the server knows a refused head by. */
static void mark(enum refusal refusal, const char *buf, size_t len, struct line *line)
{
    atomic_fetch_add_explicit(&refused_total, 1, memory_order_relaxed);
    guess_line(buf, len, line);
    size_t head = tg_str_eq(line->method, TG_STR("HEAD")) ? REFUSE_COUNT : 0;
    *line = (struct line){{&marks[refusal + head], 1}, plain_part(line->target), 1};
}

/* One empty line in front of the first is ignored (RFC 9112 section 2.2). */
static size_t skip_blank(const char *buf, size_t len)
{
    return len >= 2 && buf[0] == '\r' && buf[1] == '\n' ? 2 : 0;
}

int phr_parse_request(const char *buf, size_t len, const char **method, size_t *method_len,
                      const char **path, size_t *path_len, int *minor_version,
                      struct phr_header *headers, size_t *num_headers, size_t last_len)
{
    const size_t skip = skip_blank(buf, len);
    tg_head_t head = {.fields = (tg_http_header_t *)(void *)headers, .room = *num_headers};
    struct line line = {.minor_version = 1};
    tg_head_state_t state =
        tg_head_split(buf + skip, len - skip, last_len > skip ? last_len - skip : 0, &head);
    enum refusal refusal = judge(buf + skip, len - skip, state, &head, &line);
    if (refusal == ACCEPT && state == TG_HEAD_MORE)
        return -2;
    if (refusal != ACCEPT) {
        if (is_blank(buf, len))
            return -1;
        mark(refusal, buf + skip, len - skip, &line);
        head.count = 0;
        head.len = len - skip; /* the rest cannot be understood: the connection closes */
    }
    *method = line.method.ptr;
    *method_len = line.method.len;
    *path = line.target.ptr;
    *path_len = line.target.len;
    *minor_version = line.minor_version;
    *num_headers = head.count;
    return (int)(skip + head.len);
}

ssize_t phr_decode_chunked(struct phr_chunked_decoder *decoder, char *buf, size_t *bufsz)
{
    _Static_assert(sizeof(tg_chunked_t) == sizeof(struct phr_chunked_decoder), "same place");
    ssize_t rest = tg_chunked_decode((tg_chunked_t *)(void *)decoder, buf, bufsz);
    if (rest == TG_CHUNKED_BAD)
        atomic_fetch_add_explicit(&refused_total, 1, memory_order_relaxed);
    return rest;
}

__attribute__((constructor)) static void fill_tables(void)
{
    memset(marks, '(', sizeof(marks));
    for (size_t i = 0; i < TG_ARRAY_LEN(once); i++)
        once_of_len[once[i].len] |= UINT32_C(1) << i;
}

/* --- for the server --- */

const tg_guard_refusal_t *tg_http_guard_refusal(const char *method, bool *out_head)
{
    uintptr_t at = (uintptr_t)method - (uintptr_t)marks;
    if (at >= sizeof(marks))
        return NULL;
    *out_head = at >= REFUSE_COUNT;
    return &refusals[at % REFUSE_COUNT];
}

uint64_t tg_http_guard_refused(void)
{
    return atomic_load_explicit(&refused_total, memory_order_relaxed);
}

/* Parses by the symbol that libh2o's calls are bound to. */
static bool guard_refuses(parse_request_fn parse, const char *text)
{
    struct phr_header headers[8];
    size_t method_len, path_len, count = TG_ARRAY_LEN(headers);
    const char *method, *path;
    int minor_version;
    int head = parse(text, strlen(text), &method, &method_len, &path, &path_len, &minor_version,
                     headers, &count, 0);
    bool is_head;
    return head > 0 && tg_http_guard_refusal(method, &is_head) != NULL;
}

tg_status_t tg_http_guard_check(tg_error_t *error)
{
    parse_request_fn bound = NULL;
    *(void **)(void *)&bound = dlsym(RTLD_DEFAULT, "phr_parse_request");
    void *decode = dlsym(RTLD_DEFAULT, "phr_decode_chunked");
    void *own_decode = NULL;
    ssize_t (*own)(struct phr_chunked_decoder *, char *, size_t *) = phr_decode_chunked;
    memcpy(&own_decode, &own, sizeof(own_decode));

    uint64_t before = tg_http_guard_refused();
    bool in_force = bound == phr_parse_request && decode == own_decode &&
                    guard_refuses(bound, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
                                         "Transfer-Encoding: chunked\r\n\r\n") &&
                    !guard_refuses(bound, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    atomic_fetch_sub_explicit(&refused_total, tg_http_guard_refused() - before,
                              memory_order_relaxed);
    if (!in_force)
        return tg_error_set(error, TG_INTERNAL,
                            "The HTTP guard is not in force: libh2o does not call this program's "
                            "phr_parse_request; the build must export it.");
    return TG_OK;
}
