/* What the gateway said about each event of a request.
 *
 * Nothing counts as acknowledged unless it is said so of exactly this event: an answer that misses
 * one, tells one twice, or has no id is malformed, and all of it is sent again.
 *
 * Threads: a parser belongs to one. */
#ifndef TG_SIM_ANSWER_H
#define TG_SIM_ANSWER_H

#include "common/json/json.h"

typedef enum tg_answer_state {
    TG_ANSWER_NOT_TOLD,
    TG_ANSWER_ACCEPTED,
    TG_ANSWER_DUPLICATE, /* repeats another event of its request */
    TG_ANSWER_REJECTED,  /* refused for what it is */
    TG_ANSWER_FAILED,    /* to be sent again */
} tg_answer_state_t;

typedef struct tg_answer_item {
    tg_answer_state_t state;
    tg_str_t event_id; /* ACCEPTED */
    tg_str_t code;     /* REJECTED, FAILED */
} tg_answer_item_t;

/* Reads the per-item results of a batch of `count` events. The texts are borrowed until the
 * parser's next use. TG_INVALID: malformed. */
TG_NODISCARD tg_status_t tg_answer_parse_batch(tg_json_parser_t *parser, tg_str_t body,
                                               size_t count, tg_answer_item_t *out_items);

/* Reads the 202 of a single event. */
TG_NODISCARD tg_status_t tg_answer_parse_single(tg_json_parser_t *parser, tg_str_t body,
                                                tg_answer_item_t *out_item);

/* The code of an error in v1's or v2's shape; empty when there is none. */
tg_str_t tg_answer_error_code(tg_json_parser_t *parser, tg_str_t body);

/* The object's member of this name; SIZE_MAX when there is none or `at` is no object. */
size_t tg_answer_member(const tg_json_node_t *nodes, size_t at, tg_str_t name);

#endif
