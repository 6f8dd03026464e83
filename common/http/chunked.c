/* One function per state; each takes one byte and says go on, done or bad. Data bytes are moved in
 * runs, so the cost per byte is that of memmove. */
#include "common/http/chunked.h"

enum chunked_state {
    STATE_SIZE,
    STATE_EXTENSION,
    STATE_SIZE_LF,
    STATE_DATA,
    STATE_DATA_CR,
    STATE_DATA_LF,
    STATE_TRAILER_START,
    STATE_TRAILER_LINE,
    STATE_TRAILER_LF,
    STATE_END_LF,
    STATE_COUNT,
};

enum { DONE = 0 };

static int hex_value(unsigned char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Visible characters, space, tab and bytes above ASCII: what may stand in a line. */
static bool is_text(unsigned char byte)
{
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

static int on_size(tg_chunked_t *d, unsigned char byte)
{
    int value = hex_value(byte);
    if (value >= 0) {
        if (++d->digits > TG_CHUNKED_DIGITS_MAX)
            return TG_CHUNKED_BAD;
        d->left = d->left * 16 + (size_t)value;
        return TG_CHUNKED_MORE;
    }
    if (d->digits == 0 || (byte != ';' && byte != '\r'))
        return TG_CHUNKED_BAD;
    d->counted = 0;
    d->state = byte == ';' ? STATE_EXTENSION : STATE_SIZE_LF;
    return TG_CHUNKED_MORE;
}

static int on_extension(tg_chunked_t *d, unsigned char byte)
{
    if (byte == '\r') {
        d->state = STATE_SIZE_LF;
        return TG_CHUNKED_MORE;
    }
    return is_text(byte) && ++d->counted <= TG_CHUNKED_EXTENSION_MAX ? TG_CHUNKED_MORE
                                                                     : TG_CHUNKED_BAD;
}

static int on_size_lf(tg_chunked_t *d, unsigned char byte)
{
    if (byte != '\n')
        return TG_CHUNKED_BAD;
    d->counted = 0;
    d->state = d->left == 0 ? STATE_TRAILER_START : STATE_DATA;
    return TG_CHUNKED_MORE;
}

static int on_data_cr(tg_chunked_t *d, unsigned char byte)
{
    d->state = STATE_DATA_LF;
    return byte == '\r' ? TG_CHUNKED_MORE : TG_CHUNKED_BAD;
}

static int on_data_lf(tg_chunked_t *d, unsigned char byte)
{
    d->digits = 0;
    d->state = STATE_SIZE;
    return byte == '\n' ? TG_CHUNKED_MORE : TG_CHUNKED_BAD;
}

static int on_trailer_start(tg_chunked_t *d, unsigned char byte)
{
    if (byte == '\r') {
        d->state = STATE_END_LF;
        return TG_CHUNKED_MORE;
    }
    d->named = 0;
    d->counted++;
    d->state = STATE_TRAILER_LINE;
    /* A line that starts with white space would be a folded one, with a colon a nameless one. */
    return byte > 0x20 && byte < 0x7f && byte != ':' ? TG_CHUNKED_MORE : TG_CHUNKED_BAD;
}

static int on_trailer_line(tg_chunked_t *d, unsigned char byte)
{
    if (byte == '\r') {
        d->state = STATE_TRAILER_LF;
        return d->named ? TG_CHUNKED_MORE : TG_CHUNKED_BAD;
    }
    if (byte == ':')
        d->named = 1;
    else if (!d->named && (byte <= 0x20 || byte >= 0x7f))
        return TG_CHUNKED_BAD;
    return is_text(byte) && ++d->counted <= TG_CHUNKED_TRAILER_MAX ? TG_CHUNKED_MORE
                                                                   : TG_CHUNKED_BAD;
}

static int on_trailer_lf(tg_chunked_t *d, unsigned char byte)
{
    d->state = STATE_TRAILER_START;
    return byte == '\n' ? TG_CHUNKED_MORE : TG_CHUNKED_BAD;
}

static int on_end_lf(tg_chunked_t *d, unsigned char byte)
{
    (void)d;
    return byte == '\n' ? DONE : TG_CHUNKED_BAD;
}

static int (*const steps[STATE_COUNT])(tg_chunked_t *, unsigned char) = {
    [STATE_SIZE] = on_size,
    [STATE_EXTENSION] = on_extension,
    [STATE_SIZE_LF] = on_size_lf,
    [STATE_DATA_CR] = on_data_cr,
    [STATE_DATA_LF] = on_data_lf,
    [STATE_TRAILER_START] = on_trailer_start,
    [STATE_TRAILER_LINE] = on_trailer_line,
    [STATE_TRAILER_LF] = on_trailer_lf,
    [STATE_END_LF] = on_end_lf,
};

static size_t move_data(tg_chunked_t *d, char *to, const char *from, size_t available)
{
    assert(d->state == STATE_DATA && d->left > 0);
    size_t n = d->left < available ? d->left : available;
    memmove(to, from, n);
    d->left -= n;
    if (d->left == 0)
        d->state = STATE_DATA_CR;
    return n;
}

ssize_t tg_chunked_decode(tg_chunked_t *decoder, char *buf, size_t *inout_len)
{
    assert(buf != NULL || *inout_len == 0);
    assert(decoder->state < STATE_COUNT);
    size_t len = *inout_len, from = 0, to = 0;
    int step = TG_CHUNKED_MORE;

    while (from < len && step == TG_CHUNKED_MORE) {
        if (decoder->state == STATE_DATA) {
            size_t n = move_data(decoder, buf + to, buf + from, len - from);
            from += n;
            to += n;
        } else {
            step = steps[decoder->state](decoder, (unsigned char)buf[from++]);
        }
    }
    assert(to <= from);
    *inout_len = to;
    if (step != DONE)
        return step;
    memmove(buf + to, buf + from, len - from);
    return (ssize_t)(len - from);
}
