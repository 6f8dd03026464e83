/* The grammar of RFC 8259 as a small pushdown automaton: what is wanted next, and one bit per open
 * container. It runs only on texts that were refused already, so it is written for words, not for
 * speed. */
#include "common/json/explain.h"

#include <math.h>
#include <stdlib.h>

#include "common/json/json.h"

enum want { WANT_VALUE, WANT_VALUE_OR_END, WANT_KEY, WANT_KEY_OR_END, WANT_COMMA_OR_END };

struct scan {
    tg_str_t text;
    size_t at;
    tg_str_t key; /* the last member name, as written */
    unsigned depth, max_depth;
    uint8_t object[TG_JSON_DEPTH_MAX / 8 + 1]; /* by depth: object or array */
    const char *fault;                         /* NULL while all is well */
    tg_status_t status;
};

static int peek(const struct scan *s)
{
    return s->at < s->text.len ? (unsigned char)s->text.ptr[s->at] : -1;
}

static void fault(struct scan *s, const char *words)
{
    if (s->fault == NULL)
        s->fault = words;
}

static void skip_space(struct scan *s)
{
    for (int c = peek(s); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = peek(s))
        s->at++;
}

static bool in_object(const struct scan *s)
{
    return s->depth > 0 && (s->object[s->depth / 8] >> (s->depth % 8) & 1) != 0;
}

static void open_container(struct scan *s, bool object)
{
    if (s->depth == s->max_depth) {
        s->status = TG_TOO_LARGE;
        fault(s, "nested too deeply");
        return;
    }
    s->depth++;
    uint8_t bit = (uint8_t)(1u << (s->depth % 8));
    s->object[s->depth / 8] =
        (uint8_t)(object ? s->object[s->depth / 8] | bit : s->object[s->depth / 8] & ~bit);
    s->at++;
}

/* Four hex digits at `at`, or -1. */
static int hex4(const struct scan *s, size_t at)
{
    int value = 0;
    if (at + 4 > s->text.len)
        return -1;
    for (size_t i = at; i < at + 4; i++) {
        int c = (unsigned char)s->text.ptr[i];
        int lower = c | 0x20;
        if (c >= '0' && c <= '9')
            value = value * 16 + (c - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value * 16 + (lower - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* Behind "\u": a code unit, or a pair of surrogates. */
static void scan_unicode(struct scan *s)
{
    int high = hex4(s, s->at + 2);
    if (high < 0) {
        fault(s, "\\u without four hex digits");
    } else if (high < 0xd800 || high > 0xdfff) {
        s->at += 6;
    } else {
        bool pair = high < 0xdc00 && s->at + 8 <= s->text.len && s->text.ptr[s->at + 6] == '\\' &&
                    s->text.ptr[s->at + 7] == 'u';
        int low = pair ? hex4(s, s->at + 8) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            fault(s, "lone surrogate in a string");
        else
            s->at += 12;
    }
}

static void scan_escape(struct scan *s)
{
    int c = s->at + 1 < s->text.len ? s->text.ptr[s->at + 1] : 0;
    if (c == 'u')
        scan_unicode(s);
    else if (c != 0 && strchr("\"\\/bfnrt", c) != NULL)
        s->at += 2;
    else
        fault(s, "unknown escape in a string");
}

/* From the opening quote to behind the closing one; gives what stands between. */
static tg_str_t scan_string(struct scan *s)
{
    size_t start = ++s->at;
    while (s->fault == NULL) {
        int c = peek(s);
        if (c == '"') {
            tg_str_t text = {s->text.ptr + start, s->at - start};
            s->at++;
            return text;
        }
        if (c < 0)
            fault(s, "string without an end");
        else if (c < 0x20)
            fault(s, "control character in a string");
        else if (c == '\\')
            scan_escape(s);
        else
            s->at++;
    }
    return (tg_str_t){NULL, 0};
}

static size_t scan_digits(struct scan *s)
{
    size_t start = s->at;
    while (peek(s) >= '0' && peek(s) <= '9')
        s->at++;
    if (s->at == start)
        fault(s, "number without a digit");
    return s->at - start;
}

static bool number_in_range(tg_str_t text, bool integer)
{
    char copy[512];
    int64_t negative;
    uint64_t positive;
    if (integer)
        return tg_str_to_i64(text, &negative) == TG_OK || tg_str_to_u64(text, &positive) == TG_OK;
    if (text.len >= sizeof(copy))
        return true; /* rarely seen; the closing words are then general ones */
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return isfinite(strtod(copy, NULL)) != 0;
}

static void scan_number(struct scan *s)
{
    size_t start = s->at;
    bool integer = true;
    if (peek(s) == '-')
        s->at++;
    bool zero = peek(s) == '0';
    size_t digits = scan_digits(s);
    if (zero && digits > 1)
        fault(s, "number with a leading zero");
    if (peek(s) == '.') {
        integer = false;
        s->at++;
        scan_digits(s);
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        integer = false;
        s->at++;
        if (peek(s) == '+' || peek(s) == '-')
            s->at++;
        scan_digits(s);
    }
    if (s->fault != NULL)
        return;
    if (!number_in_range((tg_str_t){s->text.ptr + start, s->at - start}, integer)) {
        s->at = start;
        fault(s, "number out of range");
    }
}

static void scan_literal(struct scan *s)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        size_t len = strlen(words[i]);
        if (s->text.len - s->at >= len && memcmp(s->text.ptr + s->at, words[i], len) == 0) {
            s->at += len;
            return;
        }
    }
    fault(s, s->at == s->text.len ? "text ends early" : "no JSON value");
}

static enum want scan_value(struct scan *s)
{
    int c = peek(s);
    if (c == '{' || c == '[') {
        open_container(s, c == '{');
        return c == '{' ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
    }
    if (c == '"')
        scan_string(s);
    else if (c == '-' || (c >= '0' && c <= '9'))
        scan_number(s);
    else
        scan_literal(s);
    return WANT_COMMA_OR_END;
}

static enum want scan_key(struct scan *s)
{
    if (peek(s) != '"') {
        fault(s, s->at == s->text.len ? "text ends early" : "expected a member name in quotes");
        return WANT_KEY;
    }
    s->key = scan_string(s);
    skip_space(s);
    if (s->fault == NULL && peek(s) != ':')
        fault(s, "expected a colon");
    s->at++;
    return WANT_VALUE;
}

static enum want scan_separator(struct scan *s)
{
    int close = in_object(s) ? '}' : ']';
    int c = peek(s);
    if (c == close) {
        s->depth--;
        s->at++;
        return WANT_COMMA_OR_END;
    }
    if (c != ',')
        fault(s, c < 0 ? "text ends early" : "expected a comma or the container's end");
    s->at++;
    return in_object(s) ? WANT_KEY : WANT_VALUE;
}

static enum want step(struct scan *s, enum want want)
{
    int c = peek(s);
    switch (want) {
    case WANT_KEY_OR_END:
        return c == '}' ? scan_separator(s) : scan_key(s);
    case WANT_VALUE_OR_END:
        return c == ']' ? scan_separator(s) : scan_value(s);
    case WANT_KEY:
        return scan_key(s);
    case WANT_VALUE:
        return scan_value(s);
    default:
        return scan_separator(s);
    }
}

/* Offset of the first byte that starts no well-formed UTF-8 sequence, or the text's length. */
static size_t utf8_fault(tg_str_t text)
{
    size_t at = 0;
    while (at < text.len) {
        unsigned char lead = (unsigned char)text.ptr[at];
        size_t len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        if (at + len > text.len || !tg_str_is_utf8((tg_str_t){text.ptr + at, len}))
            return at;
        at += len;
    }
    return at;
}

static void scan_document(struct scan *s)
{
    enum want want = WANT_VALUE;
    size_t bad_byte = utf8_fault(s->text);
    do {
        skip_space(s);
        want = step(s, want);
    } while (s->fault == NULL && s->at <= bad_byte && (s->depth > 0 || want != WANT_COMMA_OR_END));
    if (s->at > bad_byte && bad_byte < s->text.len) {
        s->fault = "not UTF-8"; /* before whatever the grammar found behind it */
        s->at = bad_byte;
    }
    if (s->fault != NULL)
        return;
    skip_space(s);
    if (s->at < s->text.len)
        fault(s, "text behind the JSON value");
}

tg_status_t tg_json_explain(tg_str_t text, unsigned max_depth, tg_str_t *out_member,
                            tg_error_t *error)
{
    assert(max_depth <= TG_JSON_DEPTH_MAX);
    struct scan s = {.text = text, .max_depth = max_depth, .status = TG_INVALID};
    scan_document(&s);
    if (s.at > text.len)
        s.at = text.len;
    if (s.fault == NULL)
        return tg_error_set(error, TG_INVALID, "not a JSON document");
    *out_member = s.key.len <= TG_JSON_BLAME_MAX ? s.key : (tg_str_t){NULL, 0};
    if (out_member->len == 0)
        return tg_error_set(error, s.status, "%s at byte %zu", s.fault, s.at);
    return tg_error_set(error, s.status, "%s at byte %zu, at or after member \"" TG_STR_FMT "\"",
                        s.fault, s.at, TG_STR_ARG(s.key));
}
