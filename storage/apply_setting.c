/* Settings of the whole cluster: one row of the directory that holds them all, in the order of their keys. What a key means and which
 * values it may have is known to the nodes (base/cluster_settings.h), which look before they submit: a rule here could differ
 * between two versions, and two stores fed the same log must stay equal. */
#include "storage/apply.h"

#include <string.h>

static const struct key settings_key = {.data = "settings", .size = 8};

static bool key_ok(const char *key)
{
    size_t size = strlen(key);
    return size > 0 && size <= SETTING_KEY_BYTES_MAX &&
           strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789._-") == size;
}

static bool text_ok(const char *text, size_t max)
{
    struct bytes b = apply_text(text);
    return b.size == 0 || apply_name_ok(b, max);
}

/* NULL: failed. */
static Mq__Settings *load(struct apply *a)
{
    struct bytes value;
    if (!rows_get(a->rows, TABLE_SYSTEM, &settings_key, &value)) {
        Mq__Settings *s = arena_alloc(a->arena, sizeof(*s));
        if (s == NULL) {
            rows_fail(a->rows, STATUS_NO_MEMORY);
        } else {
            mq__settings__init(s);
        }
        return s;
    }
    Mq__Settings *s = mq__settings__unpack(&a->arena->allocator, value.size, value.data);
    if (s == NULL) {
        rows_fail(a->rows, a->arena->no_memory ? STATUS_NO_MEMORY : STATUS_CORRUPT);
    }
    return s;
}

static enum status store(struct apply *a, const Mq__Settings *s)
{
    size_t size = mq__settings__get_packed_size(s);
    uint8_t *bytes = arena_alloc(a->arena, size);
    if (bytes == NULL) {
        rows_fail(a->rows, STATUS_NO_MEMORY);
        return STATUS_NO_MEMORY;
    }
    mq__settings__pack(s, bytes);
    rows_put(a->rows, TABLE_SYSTEM, &settings_key, (struct bytes){bytes, size});
    return OK;
}

/* Its place, or where it would be. */
static size_t place_of(const Mq__Settings *s, const char *key, bool *out_found)
{
    size_t at = 0;
    while (at < s->n_settings && strcmp(s->settings[at]->key, key) < 0) {
        at++;
    }
    *out_found = at < s->n_settings && strcmp(s->settings[at]->key, key) == 0;
    return at;
}

static enum status change(struct apply *a, Mq__Settings *s, const Mq__SettingSet *c)
{
    bool found;
    size_t at = place_of(s, c->key, &found);
    if (c->value[0] == '\0') {
        if (!found) {
            return apply_refuse(a, STATUS_NOT_FOUND, "the cluster has no such setting");
        }
        for (s->n_settings--; at < s->n_settings; at++) {
            s->settings[at] = s->settings[at + 1];
        }
        return OK;
    }
    if (!found && s->n_settings == SETTINGS_MAX) {
        return apply_refuse(a, STATUS_FULL, "the cluster has as many settings as it may");
    }
    Mq__Setting *fresh = arena_alloc(a->arena, sizeof(*fresh));
    Mq__Setting **all = arena_alloc(a->arena, (s->n_settings + 1) * sizeof(Mq__Setting *));
    if (fresh == NULL || all == NULL) {
        rows_fail(a->rows, STATUS_NO_MEMORY);
        return STATUS_NO_MEMORY;
    }
    mq__setting__init(fresh);
    fresh->key = c->key;
    fresh->value = c->value;
    fresh->reason = c->reason;
    fresh->author = c->author;
    fresh->changed_ms = a->rows->system.time_ms;
    fresh->version = s->version + 1;
    size_t rest = s->n_settings - at - (found ? 1 : 0);
    for (size_t i = 0; i < at; i++) {
        all[i] = s->settings[i];
    }
    all[at] = fresh;
    for (size_t i = 0; i < rest; i++) {
        all[at + 1 + i] = s->settings[at + (found ? 1 : 0) + i];
    }
    s->settings = all;
    s->n_settings = at + 1 + rest;
    return OK;
}

enum status apply_setting_set(struct apply *a, const Mq__SettingSet *c)
{
    if (a->shard != SHARD_DIRECTORY) {
        return apply_refuse(a, STATUS_INVALID, "settings are kept by the directory");
    }
    if (!key_ok(c->key) || !text_ok(c->value, SETTING_VALUE_BYTES_MAX) ||
        !text_ok(c->reason, SETTING_REASON_BYTES_MAX) || !text_ok(c->author, NAME_MAX_BYTES)) {
        return apply_refuse(a, STATUS_INVALID,
                            "key, value, reason or author is no such text, or too long");
    }
    Mq__Settings *s = load(a);
    if (s == NULL) {
        return a->rows->failed;
    }
    if (c->expected_version != s->version) {
        return apply_refuse(a, STATUS_PLAN_STALE, "a setting was changed since");
    }
    enum status status = change(a, s, c);
    if (status != OK) {
        return status;
    }
    s->version++;
    return store(a, s);
}
