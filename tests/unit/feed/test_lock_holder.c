/* Who waits for whom, out of /proc/locks as kernels print it, and out of lock files; and once for real. */
#include "node/feed/lock_holder.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/check.h"

static void those_who_wait_follow_the_one_who_holds(void)
{
    struct lock_lines l = {.at =
                               "1: POSIX  ADVISORY  WRITE 100 fe:01:77 0 EOF\n"
                               "1: -> POSIX  ADVISORY  WRITE 200 fe:01:77 0 EOF\n"
                               "1: -> POSIX  ADVISORY  READ 201 fe:01:77 0 EOF\n"
                               "2: FLOCK  ADVISORY  WRITE 300 fe:01:78 0 EOF\n"
                               "garbage\n\n"
                               "3: OFDLCK ADVISORY  WRITE -1 fe:01:79 0 EOF\n"
                               "3: -> OFDLCK ADVISORY  WRITE 500 fe:01:79 0 EOF\n"
                               "4: POSIX  ADVISORY  WRITE 600 fe:01:80 0 EOF\n"
                               "4: -> POSIX  ADVISORY  WRITE 0 fe:01:80 0 EOF\n"
                               "9: -> POSIX  ADVISORY  WRITE 700 fe:01:80 0 EOF\n"
                               "5: POSIX  ADVISORY  WRITE 800 fe:01:81 0 EOF\n"
                               "5: -> POSIX  ADVISORY  WRITE 900 fe:01:81 0 EOF"};
    int64_t waiter, holder;
    CHECK(lock_holder_next(&l, &waiter, &holder));
    CHECK_EQ(waiter, 200);
    CHECK_EQ(holder, 100);
    CHECK(lock_holder_next(&l, &waiter, &holder));
    CHECK_EQ(waiter, 201);
    CHECK_EQ(holder, 100);
    CHECK(lock_holder_next(&l, &waiter, &holder));
    CHECK_EQ(waiter, 900);
    CHECK_EQ(holder, 800);
    CHECK(!lock_holder_next(&l, &waiter, &holder));
}

static void a_lock_file_names_pid_and_host(void)
{
    int64_t pid;
    char host[LOCK_HOLDER_HOST_MAX + 1];
    CHECK(lock_holder_parse_file("1234:mail1.example.org\n", &pid, host));
    CHECK_EQ(pid, 1234);
    CHECK_STR_EQ(host, "mail1.example.org");
    static const char *const bad[] = {"", "x", "12", "12:", "0:h", "-4:h", "12:a\"b", "12:\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK(!lock_holder_parse_file(bad[i], &pid, host));
    }
}

static void a_command_with_brackets_does_not_confuse(void)
{
    int64_t group;
    uint64_t start;
    CHECK(
        lock_holder_parse_stat("77 (a) b) (c) S 1 55 55 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 "
                               "98765 1000 2000",
                               &group, &start));
    CHECK_EQ(group, 55);
    CHECK_EQ(start, 98765u);
    CHECK(!lock_holder_parse_stat("77 (a) S 1 55", &group, &start));
    CHECK(!lock_holder_parse_stat("", &group, &start));
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* This process holds a lock, a child in its own group waits for it. */
static void a_holder_of_a_real_lock_is_found(void)
{
    char path[] = "/tmp/test_lock_holder.XXXXXX";
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct lock_holder h;
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK_EQ(fcntl(fd, F_SETLK, &lock), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        fcntl(fd, F_SETLKW, &lock);
        _exit(0);
    }
    bool found = false;
    for (int i = 0; i < 500 && !found; i++) {
        sleep_ms(20);
        found = lock_holder_find(pid, &h);
    }
    if (access("/proc/locks", R_OK) == 0) {
        CHECK(found);
        CHECK_EQ(h.pid, getpid());
        CHECK(strstr(h.command, "test_lock_holder") != NULL);
        CHECK_STR_EQ(h.file, "");
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(fd);
    unlink(path);
}

/* One byte of a file, waited for by a process of its own group. */
static pid_t process_that_locks(const char *path, off_t own, off_t wanted)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct flock first = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = own, .l_len = 1};
        struct flock second = {
            .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = wanted, .l_len = 1};
        int fd = open(path, O_RDWR);
        setpgid(0, 0);
        fcntl(fd, F_SETLKW, &first);
        fcntl(fd, F_SETLKW, &second);
        _exit(0);
    }
    return pid;
}

static void who_waits_for_one_that_waits_is_told_the_last(void)
{
    char path[] = "/tmp/test_lock_holder.XXXXXX";
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    struct lock_holder h = {0};
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK_EQ(fcntl(fd, F_SETLK, &lock), 0);
    pid_t middle = process_that_locks(path, 1, 0);
    for (int i = 0; i < 500 && !lock_holder_find(middle, &h); i++) {
        sleep_ms(20);
    }
    pid_t last = process_that_locks(path, 2, 1);
    for (int i = 0; i < 500 && !lock_holder_find(last, &h); i++) {
        sleep_ms(20);
    }
    if (access("/proc/locks", R_OK) == 0) {
        CHECK_EQ(h.pid, getpid());
    }
    kill(last, SIGKILL);
    kill(middle, SIGKILL);
    waitpid(last, NULL, 0);
    waitpid(middle, NULL, 0);
    close(fd);
    unlink(path);
}

/* A child in its own group has a file open beside a lock file of ours. */
static void a_holder_named_in_a_lock_file_is_found(void)
{
    char folder[] = "/tmp/test_lock_holder.XXXXXX", log[64], lock[64];
    struct lock_holder h;
    CHECK(mkdtemp(folder) != NULL);
    snprintf(log, sizeof(log), "%s/dovecot.index.log", folder);
    snprintf(lock, sizeof(lock), "%s/dovecot-uidlist.lock", folder);
    FILE *f = fopen(lock, "w");
    fprintf(f, "%d:elsewhere.example.org", (int)getpid());
    fclose(f);
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        int fd = open(log, O_RDWR | O_CREAT, 0600);
        ssize_t n = write(ends[1], "x", 1);
        for (;;) {
            pause();
        }
        _exit(fd + (int)n);
    }
    char x;
    CHECK_EQ(read(ends[0], &x, 1), 1);
    CHECK(lock_holder_find(pid, &h));
    CHECK_EQ(h.pid, getpid());
    CHECK_STR_EQ(h.file, lock);
    CHECK_STR_EQ(h.host, "elsewhere.example.org");
    unlink(lock);
    CHECK(!lock_holder_find(pid, &h));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    unlink(log);
    rmdir(folder);
}

CHECK_MAIN
{
    RUN(those_who_wait_follow_the_one_who_holds);
    RUN(a_lock_file_names_pid_and_host);
    RUN(a_command_with_brackets_does_not_confuse);
    RUN(a_holder_of_a_real_lock_is_found);
    RUN(who_waits_for_one_that_waits_is_told_the_last);
    RUN(a_holder_named_in_a_lock_file_is_found);
}
