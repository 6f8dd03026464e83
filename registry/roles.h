/* The rule that no level of compatibility lifts: a new version of an event type may not move or
 * remove a role.
 *
 * Roles decide the partition key, the identity and what is aggregated, so events of one type that
 * were stored by different roles could not be read together. Adding a role that no field had, and
 * renaming the field that has it (the old name as an alias), are allowed.
 *
 * An event type is a record with at least one field that has the attribute "role"; whether its
 * roles are good ones is tg_event_type_compile's to say.
 *
 * Threads: pure functions. */
#ifndef TG_REGISTRY_ROLES_H
#define TG_REGISTRY_ROLES_H

#include "common/avro/schema.h"

/* Whether the schema is an event type's. */
bool tg_roles_carried(const tg_avro_type_t *root);

/* Whether `after` may be the next version behind `before` (NULL: it is the first). TG_INVALID names
 * the role and both fields. */
TG_NODISCARD tg_status_t tg_roles_check(const tg_avro_type_t *before, const tg_avro_type_t *after,
                                        tg_error_t *error);

#endif
