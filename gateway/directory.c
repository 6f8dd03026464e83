/* Names of scopes. The snapshot itself is in directory/: pieces.c holds it, loader.c reads it. */
#include "gateway/directory.h"

static const struct {
    const char *name;
    tg_scope_t scope;
} scope_names[] = {
    {"ingest", TG_SCOPE_INGEST},     {"read", TG_SCOPE_READ},   {"manage", TG_SCOPE_MANAGE},
    {"registry", TG_SCOPE_REGISTRY}, {"admin", TG_SCOPE_ADMIN},
};

const char *tg_scope_name(tg_scope_t scope)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(scope_names); i++) {
        if (scope_names[i].scope == scope)
            return scope_names[i].name;
    }
    return "";
}
