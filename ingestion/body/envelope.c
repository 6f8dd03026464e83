/* Reading the envelope. */
#include "ingestion/body/envelope.h"

#include <stdio.h>

static tg_status_t refuse(tg_event_error_t *error, const char *code, tg_str_t field,
                          const char *message)
{
    error->code = code;
    (void)snprintf(error->field, sizeof(error->field), "%.*s",
                   (int)(field.len < sizeof(error->field) ? field.len : sizeof(error->field) - 1),
                   field.len == 0 ? "" : field.ptr);
    (void)snprintf(error->message, sizeof(error->message), "%s", message);
    return TG_INVALID;
}

static tg_status_t read_type(const tg_json_node_t *node, tg_envelope_t *envelope,
                             tg_event_error_t *error)
{
    if (envelope->type.ptr != NULL)
        return refuse(error, "invalid_event", node->key, "The member stands twice in the item.");
    if (node->type != TG_JSON_STRING || node->value.text.len == 0)
        return refuse(error, "wrong_type", node->key,
                      "\"type\" must be the name of an event type as text.");
    envelope->type = node->value.text;
    return TG_OK;
}

static tg_status_t read_member(const tg_json_node_t *nodes, size_t index, tg_envelope_t *envelope,
                               tg_event_error_t *error)
{
    const tg_json_node_t *node = &nodes[index];
    if (tg_str_eq(node->key, TG_STR("type")))
        return read_type(node, envelope, error);
    if (tg_str_eq(node->key, TG_STR("specversion")))
        return refuse(error, "unknown_field", node->key,
                      "CloudEvents come as application/cloudevents+json, or several in an array "
                      "as application/cloudevents-batch+json.");
    if (!tg_str_eq(node->key, TG_STR("data")))
        return refuse(
            error, "unknown_field", node->key,
            "An item has the members \"type\" and \"data\" and no others; the event's own "
            "fields stand in \"data\".");
    if (envelope->data != 0)
        return refuse(error, "invalid_event", node->key, "The member stands twice in the item.");
    if (node->type != TG_JSON_OBJECT)
        return refuse(error, "wrong_type", node->key, "\"data\" must be an object, the event.");
    envelope->data = index;
    return TG_OK;
}

tg_status_t tg_envelope_read(const tg_json_node_t *nodes, tg_envelope_t *out_envelope,
                             tg_event_error_t *error)
{
    assert(nodes != NULL);
    tg_envelope_t envelope = {0};
    if (nodes[0].type != TG_JSON_OBJECT)
        return refuse(error, "invalid_event", TG_STR(""),
                      "An item must be an object {\"type\":…,\"data\":{…}}, or the flat event when "
                      "the request has ?type=.");
    for (size_t i = 1; i < nodes[0].next; i = nodes[i].next) {
        tg_status_t status = read_member(nodes, i, &envelope, error);
        if (status != TG_OK)
            return status;
    }
    if (envelope.type.ptr == NULL)
        return refuse(error, "missing_field", TG_STR("type"),
                      "The item does not name its event type; add \"type\", or ?type= to the "
                      "request if the events are flat.");
    if (envelope.data == 0)
        return refuse(error, "missing_field", TG_STR("data"),
                      "The item has no \"data\", which holds the event.");
    *out_envelope = envelope;
    return TG_OK;
}

void tg_envelope_prefix(tg_event_error_t *error)
{
    static const char prefix[] = "data";
    char field[sizeof(error->field)];
    memcpy(field, error->field, sizeof(field));
    (void)snprintf(error->field, sizeof(error->field), "%s%s%.*s", prefix,
                   field[0] == '\0' ? "" : ".", (int)(sizeof(field) - sizeof(prefix) - 1), field);
}
