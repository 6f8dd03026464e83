/* The media types, one row each. A CloudEvents media type decides over ce-* headers, as the HTTP
 * binding (section 3) says. */
#include "ingestion/body/form.h"

#include <strings.h>

#include "ingestion/body/cloudevent.h"
#include "ingestion/record/record.h"

static const char *const media_types[] = {
    [TG_FORM_ARRAY] = "application/json",
    [TG_FORM_LINES] = "application/x-ndjson",
    [TG_FORM_CLOUDEVENT] = "application/cloudevents+json",
    [TG_FORM_CLOUDEVENTS] = "application/cloudevents-batch+json",
    [TG_FORM_BINARY] = NULL, /* ends the list for tg_record_media_type */
};

tg_str_t tg_form_header(void *arg, const char *lower_name)
{
    return tg_http_header(arg, lower_name);
}

bool tg_form_read(tg_http_req_t *req, tg_form_t *out_form)
{
    size_t form = 0;
    if (!tg_record_media_type(req, media_types, &form))
        return false;
    bool cloud = form == TG_FORM_CLOUDEVENT || form == TG_FORM_CLOUDEVENTS;
    if (!cloud && tg_cloudevent_is_binary(tg_form_header, req)) {
        if (form != TG_FORM_ARRAY) {
            tg_http_fail(req, 415, "unsupported_media_type", TG_STR("Content-Type"),
                         "A CloudEvent in binary mode has its data as application/json.");
            return false;
        }
        form = TG_FORM_BINARY;
    }
    *out_form = (tg_form_t)form;
    return true;
}
