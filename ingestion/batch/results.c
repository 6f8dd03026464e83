/* Results of a batch. The fixed parts of an accepted item are copied whole, since there are
 * thousands of them in one answer. */
#include "ingestion/batch/results.h"

#include "ingestion/record/record.h"

#define ITEM_MAX 192 /* bytes of an accepted or duplicate item */
#define UNTOLD   "Refused; there are too many errors in this request to tell each."

tg_results_summary_t tg_results_settle(tg_result_t *results, size_t count)
{
    tg_results_summary_t summary = {0};
    for (size_t i = 0; i < count; i++) {
        tg_result_t *result = &results[i];
        assert(result->state != TG_RESULT_PENDING);
        if (result->state == TG_RESULT_DUPLICATE) {
            assert(result->original < i);
            const tg_result_t *original = &results[result->original];
            if (original->state == TG_RESULT_FAILED) {
                result->state = TG_RESULT_FAILED;
                result->code = original->code;
            }
        }
        summary.accepted += result->state == TG_RESULT_ACCEPTED;
        summary.duplicate += result->state == TG_RESULT_DUPLICATE;
        summary.rejected += result->state == TG_RESULT_REJECTED;
        summary.failed += result->state == TG_RESULT_FAILED;
        summary.dead_lettered += result->state == TG_RESULT_DEAD_LETTERED;
        summary.withheld += result->state == TG_RESULT_WITHHELD;
    }
    return summary;
}

int tg_results_http_code(const tg_results_summary_t *summary, bool strict)
{
    if (strict && summary->failed > 0)
        return 503;
    if (summary->accepted + summary->dead_lettered > 0)
        return 202;
    return summary->failed > 0 ? 503 : 422;
}

static char *put(char *at, const char *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

static char *put_number(char *at, size_t value)
{
    char digits[24];
    size_t len = 0;
    do {
        digits[len++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (len > 0)
        *at++ = digits[--len];
    return at;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static void write_stored(const tg_result_t *result, size_t index, tg_str_t received, tg_buf_t *out)
{
    char *start = tg_buf_reserve(out, ITEM_MAX);
    if (start == NULL)
        return;
    char *at = PUT(start, "{\"index\":");
    at = put_number(at, index);
    if (result->state == TG_RESULT_DUPLICATE) {
        at = PUT(at, ",\"status\":\"duplicate\",\"of\":");
        at = put_number(at, result->original);
        at = PUT(at, ",\"event_id\":\"");
    } else {
        at = PUT(at, ",\"status\":\"accepted\",\"event_id\":\"");
    }
    tg_uuid_format(&result->id, at);
    at = PUT(at + TG_UUID_TEXT_LEN, "\",\"received_at\":\"");
    at = put(at, received.ptr, received.len);
    at = PUT(at, "\"}");
    assert(at - start <= ITEM_MAX);
    out->len += (size_t)(at - start);
}

static void write_rejected(const tg_result_t *result, size_t index, const char *texts,
                           tg_buf_t *out)
{
    char id[TG_UUID_TEXT_LEN];
    if (result->state == TG_RESULT_DEAD_LETTERED) {
        tg_uuid_format(&result->id, id);
        tg_buf_printf(out,
                      "{\"index\":%zu,\"status\":\"dead_lettered\",\"dead_letter_id\":\"%.*s\"",
                      index, (int)sizeof(id), id);
    } else {
        tg_buf_printf(out, "{\"index\":%zu,\"status\":\"rejected\"", index);
    }
    tg_buf_printf(out, ",\"code\":\"%s\"", result->code);
    if (result->field_len > 0) {
        tg_buf_str(out, TG_STR(",\"field\":"));
        tg_buf_json_string(out, (tg_str_t){texts + result->text, result->field_len});
    }
    tg_str_t message = TG_STR(UNTOLD);
    if (result->message_len > 0)
        message = (tg_str_t){texts + result->text + result->field_len, result->message_len};
    tg_buf_str(out, TG_STR(",\"message\":"));
    tg_buf_json_string(out, message);
    tg_buf_byte(out, '}');
}

static void write_item(const tg_result_t *result, size_t index, const char *texts,
                       tg_str_t received, tg_buf_t *out)
{
    switch (result->state) {
    case TG_RESULT_ACCEPTED:
    case TG_RESULT_DUPLICATE:
        write_stored(result, index, received, out);
        return;
    case TG_RESULT_REJECTED:
    case TG_RESULT_DEAD_LETTERED:
        write_rejected(result, index, texts, out);
        return;
    case TG_RESULT_FAILED:
        tg_buf_printf(out,
                      "{\"index\":%zu,\"status\":\"failed\",\"code\":\"%s\",\"message\":\"%s\"}",
                      index, result->code, tg_record_failure_text(result->code));
        return;
    case TG_RESULT_WITHHELD:
        tg_buf_printf(out, "{\"index\":%zu,\"status\":\"withheld\"}", index);
        return;
    default:
        assert(0 && "a result is pending");
    }
}

void tg_results_write(const tg_result_t *results, size_t count, const tg_results_summary_t *summary,
                      const char *texts, int64_t received_at, tg_buf_t *out)
{
    char time[TG_TIME_TEXT_MAX];
    tg_str_t received = {time, tg_time_format(received_at, time)};
    tg_buf_printf(out, "{\"accepted\":%zu,\"duplicate\":%zu,\"rejected\":%zu,\"failed\":%zu,",
                  summary->accepted, summary->duplicate, summary->rejected, summary->failed);
    tg_buf_printf(out, "\"dead_lettered\":%zu,\"withheld\":%zu,", summary->dead_lettered,
                  summary->withheld);
    tg_buf_str(out, TG_STR("\"items\":["));
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            tg_buf_byte(out, ',');
        write_item(&results[i], i, texts, received, out);
    }
    tg_buf_str(out, TG_STR("]}"));
}
