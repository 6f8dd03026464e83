/* In which form a request of POST /v2/events brings its events, by its media type and, for the
 * binary mode of CloudEvents, its ce-* headers.
 *
 * Threads: plain functions. */
#ifndef TG_INGESTION_BODY_FORM_H
#define TG_INGESTION_BODY_FORM_H

#include "common/http/server.h"

typedef enum tg_form {
    TG_FORM_ARRAY,       /* application/json: an array of items or flat events */
    TG_FORM_LINES,       /* application/x-ndjson: the same, a line each */
    TG_FORM_CLOUDEVENT,  /* application/cloudevents+json: one event */
    TG_FORM_CLOUDEVENTS, /* application/cloudevents-batch+json: an array of them */
    TG_FORM_BINARY,      /* ce-* headers: the body is the event, flat */
} tg_form_t;

/* Answers 415 and returns false when there is no such form. */
bool tg_form_read(tg_http_req_t *req, tg_form_t *out_form);

/* Whether the body is one event, not a list. */
static inline bool tg_form_is_one(tg_form_t form)
{
    return form == TG_FORM_CLOUDEVENT || form == TG_FORM_BINARY;
}

/* For tg_cloudevent_*: the headers of the request `arg`. */
tg_str_t tg_form_header(void *arg, const char *lower_name);

#endif
