/* The grammar of Accept-Encoding is small enough to be read in one pass with a cursor; each part
 * takes what it knows from the front of the text. */
#include "common/http/edge/coding.h"

#include "common/http/syntax.h"

#define WEIGHT_MAX 1000

static const struct name {
    const char *name;
    tg_coding_t coding;
} names[] = {
    {"identity", TG_CODING_IDENTITY},
    {"gzip", TG_CODING_GZIP},
    {"x-gzip", TG_CODING_GZIP},
    {"zstd", TG_CODING_ZSTD},
};

static const struct name *find(tg_str_t text)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(names); i++)
        if (tg_syntax_same(text, names[i].name))
            return &names[i];
    return NULL;
}

static void skip(tg_str_t *text, size_t count)
{
    assert(count <= text->len);
    text->ptr += count;
    text->len -= count;
}

static void skip_white(tg_str_t *text)
{
    while (text->len > 0 && (*text->ptr == ' ' || *text->ptr == '\t'))
        skip(text, 1);
}

tg_status_t tg_coding_read(tg_str_t text, tg_coding_t *out_coding)
{
    text = tg_syntax_trim(text);
    if (text.len == 0) {
        *out_coding = TG_CODING_IDENTITY;
        return TG_OK;
    }
    if (memchr(text.ptr, ',', text.len) != NULL)
        return TG_INVALID;
    const struct name *name = find(text);
    if (name == NULL)
        return TG_NOT_FOUND;
    *out_coding = name->coding;
    return TG_OK;
}

const char *tg_coding_name(tg_coding_t coding)
{
    static const char *const texts[TG_CODING_COUNT] = {"identity", "gzip", "zstd"};
    assert(coding < TG_CODING_COUNT);
    return texts[coding];
}

/* --- Accept-Encoding --- */

static tg_str_t take_token(tg_str_t *text)
{
    tg_str_t token = {text->ptr, tg_syntax_span(*text, TG_IN_TOKEN)};
    skip(text, token.len);
    return token;
}

static bool take_byte(tg_str_t *text, char byte)
{
    if (text->len == 0 || *text->ptr != byte)
        return false;
    skip(text, 1);
    return true;
}

/* qvalue of RFC 9110 section 12.4.2: at most three decimals, at most 1. */
static bool take_weight(tg_str_t *text, int *out_weight)
{
    if (text->len == 0 || (*text->ptr != '0' && *text->ptr != '1'))
        return false;
    int weight = (*text->ptr - '0') * WEIGHT_MAX;
    skip(text, 1);
    if (take_byte(text, '.')) {
        for (int unit = WEIGHT_MAX / 10; unit > 0 && text->len > 0; unit /= 10) {
            if (*text->ptr < '0' || *text->ptr > '9')
                break;
            weight += (*text->ptr - '0') * unit;
            skip(text, 1);
        }
    }
    *out_weight = weight;
    return weight <= WEIGHT_MAX;
}

/* One member behind its name: [ OWS ";" OWS "q=" qvalue ] OWS. */
static bool take_parameter(tg_str_t *text, int *out_weight)
{
    *out_weight = WEIGHT_MAX;
    skip_white(text);
    if (!take_byte(text, ';'))
        return true;
    skip_white(text);
    if (!take_byte(text, 'q') && !take_byte(text, 'Q'))
        return false;
    if (!take_byte(text, '=') || !take_weight(text, out_weight))
        return false;
    skip_white(text);
    return true;
}

/* A coding named twice counts as it was named first. */
static void note(tg_accept_t *accept, tg_str_t coding, int weight)
{
    const struct name *name = find(coding);
    int *slot = tg_str_eq(coding, TG_STR("*")) ? &accept->any
                : name != NULL                 ? &accept->weights[name->coding]
                                               : NULL;
    if (slot != NULL && *slot == TG_ACCEPT_UNSAID)
        *slot = weight;
}

tg_status_t tg_accept_read(tg_str_t line, tg_accept_t *inout_accept)
{
    tg_accept_t accept = *inout_accept;
    while (line.len > 0) {
        int weight;
        skip_white(&line);
        if (take_byte(&line, ',')) /* an empty member is none (section 5.6.1) */
            continue;
        if (line.len == 0)
            break;
        tg_str_t coding = take_token(&line);
        if (coding.len == 0 || !take_parameter(&line, &weight) ||
            ++accept.members > TG_ACCEPT_MEMBERS_MAX)
            return TG_INVALID;
        if (line.len > 0 && !take_byte(&line, ','))
            return TG_INVALID;
        note(&accept, coding, weight);
    }
    *inout_accept = accept;
    return TG_OK;
}

tg_coding_t tg_accept_choose(const tg_accept_t *accept)
{
    int gzip = accept->weights[TG_CODING_GZIP], zstd = accept->weights[TG_CODING_ZSTD];
    if (gzip == TG_ACCEPT_UNSAID)
        gzip = accept->any;
    int best = zstd > gzip ? zstd : gzip;
    if (best <= 0 || best < accept->weights[TG_CODING_IDENTITY])
        return TG_CODING_IDENTITY;
    return zstd >= gzip ? TG_CODING_ZSTD : TG_CODING_GZIP;
}

bool tg_accept_forbids_identity(const tg_accept_t *accept)
{
    int identity = accept->weights[TG_CODING_IDENTITY];
    return identity == 0 || (identity == TG_ACCEPT_UNSAID && accept->any == 0);
}
