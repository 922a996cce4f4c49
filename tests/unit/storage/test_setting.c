/* Settings of the cluster: kept in order, changed only on what the operator saw, and the digest counts them. */
#include "storage/apply.h"
#include "tests/unit/storage/store_rig.h"

static enum status set(struct rig *r, const char *key, const char *value, uint64_t version)
{
    char k[100], v[300], reason[] = "CHG-1", author[] = "li";
    snprintf(k, sizeof(k), "%s", key);
    snprintf(v, sizeof(v), "%s", value);
    RIG_COMMAND(c, SETTING_SET, setting_set, Mq__SettingSet, MQ__SETTING_SET__INIT);
    c_setting_set.key = k;
    c_setting_set.value = v;
    c_setting_set.reason = reason;
    c_setting_set.author = author;
    c_setting_set.expected_version = version;
    return rig_run(r, &c);
}

/* "key=value key=value", and the version. */
static const char *all(struct rig *r, uint64_t *out_version)
{
    static char text[4096];
    enum status s;
    size_t at = 0;
    RIG_QUERY(q, SETTINGS, settings, Mq__QuerySettings, MQ__QUERY_SETTINGS__INIT);
    Mq__QueryResult *result = rig_query(r, &q, &s);
    CHECK_OK(s);
    CHECK(result->settings != NULL);
    text[0] = '\0';
    for (size_t i = 0; i < result->settings->n_settings && at < sizeof(text); i++) {
        const Mq__Setting *row = result->settings->settings[i];
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s=%s", i > 0 ? " " : "", row->key,
                               row->value);
    }
    *out_version = result->settings->version;
    mq__query_result__free_unpacked(result, NULL);
    return text;
}

static void they_are_kept_by_key_and_taken_away_again(void)
{
    struct rig r;
    uint64_t version;
    rig_open(&r, SHARD_DIRECTORY);
    CHECK_STR_EQ(all(&r, &version), "");
    CHECK_EQ(version, 0);
    CHECK_OK(set(&r, "raft.preference", "no", 0));
    CHECK_OK(set(&r, "limits.requests", "7", 1));
    CHECK_OK(set(&r, "limits.requests", "8", 2));
    CHECK_STR_EQ(all(&r, &version), "limits.requests=8 raft.preference=no");
    CHECK_EQ(version, 3);
    CHECK_OK(set(&r, "limits.requests", "", 3));
    CHECK_EQ(set(&r, "limits.requests", "", 4), STATUS_NOT_FOUND);
    CHECK_STR_EQ(all(&r, &version), "raft.preference=no");
    CHECK_EQ(version, 4);
    rig_check_digest(&r);
    rig_close(&r);
}

static void a_change_on_old_knowledge_is_refused_and_changes_nothing(void)
{
    struct rig r;
    uint64_t version;
    rig_open(&r, SHARD_DIRECTORY);
    CHECK_OK(set(&r, "raft.preference", "no", 0));
    CHECK_EQ(set(&r, "raft.preference", "yes", 0), STATUS_PLAN_STALE);
    CHECK_EQ(set(&r, "raft.preference", "yes", 2), STATUS_PLAN_STALE);
    CHECK_STR_EQ(all(&r, &version), "raft.preference=no");
    rig_close(&r);
}

static void what_is_no_setting_is_refused(void)
{
    struct rig r;
    char long_key[80], long_value[280];
    memset(long_key, 'k', sizeof(long_key) - 1);
    memset(long_value, 'v', sizeof(long_value) - 1);
    long_key[sizeof(long_key) - 1] = long_value[sizeof(long_value) - 1] = '\0';
    rig_open(&r, SHARD_DIRECTORY);
    CHECK_EQ(set(&r, "", "x", 0), STATUS_INVALID);
    CHECK_EQ(set(&r, "Has Blanks", "x", 0), STATUS_INVALID);
    CHECK_EQ(set(&r, long_key, "x", 0), STATUS_INVALID);
    CHECK_EQ(set(&r, "a.b", long_value, 0), STATUS_INVALID);
    CHECK_EQ(set(&r, "a.b", "two\nlines", 0), STATUS_INVALID);
    rig_close(&r);
    rig_open(&r, 1);
    CHECK_EQ(set(&r, "a.b", "x", 0), STATUS_INVALID);
    rig_close(&r);
}

static void there_are_no_more_than_so_many(void)
{
    struct rig r;
    char key[32];
    rig_open(&r, SHARD_DIRECTORY);
    for (unsigned i = 0; i < SETTINGS_MAX; i++) {
        snprintf(key, sizeof(key), "k.%u", i);
        CHECK_OK(set(&r, key, "x", i));
    }
    CHECK_EQ(set(&r, "one.more", "x", SETTINGS_MAX), STATUS_FULL);
    CHECK_OK(set(&r, "k.0", "y", SETTINGS_MAX));
    rig_check_digest(&r);
    rig_close(&r);
}

CHECK_MAIN
{
    RUN(they_are_kept_by_key_and_taken_away_again);
    RUN(a_change_on_old_knowledge_is_refused_and_changes_nothing);
    RUN(what_is_no_setting_is_refused);
    RUN(there_are_no_more_than_so_many);
}
