# shellcheck shell=bash
# suite.sh: the frame of a suite (see test.sh). Sourced.
#
#   suite_begin NAME [HOOK]    Counts from here; when the script ends, however it does, calls HOOK (clean up), prints the closing line and
#                              ends with 0 only if no test failed. A script that ends early with an error has failed once more.
#   check NAME COMMAND...      A test: a command that succeeds. What it said is in $MQ_TMP/out, and shown when it fails.
#   ok NAME, failed NAME       A test whose outcome the suite knows by itself.
#   skip NAME WHY
#   until_ SECONDS COMMAND...  Succeeds when the command does in time.
#   ends CODE COMMAND...       Succeeds when the command ends with that code; a program must within 30 s.
#
# MQ_TMP is there after suite_begin. What a command of `check` leaves in SUITE_NOTE is told behind its name.

suite_begin() {
    SUITE_NAME=$1 SUITE_HOOK=${2:-} SUITE_PASSED=0 SUITE_FAILED=0 SUITE_SKIPPED=0 SUITE_NOTE=''
    MQ_TMP=${MQ_TMP:-$(mktemp -d)}
    trap suite_end_ EXIT
    trap 'exit 1' TERM INT
}

suite_end_() {
    local code=$?
    trap - EXIT
    [[ -z $SUITE_HOOK ]] || "$SUITE_HOOK"
    [[ $code -eq 0 || $SUITE_FAILED -gt 0 ]] || SUITE_FAILED=1
    echo "suite $SUITE_NAME: $SUITE_PASSED passed, $SUITE_FAILED failed, $SUITE_SKIPPED skipped"
    exit $((SUITE_FAILED > 0)) # a bare exit in this trap would give the code from before it
}

ok() {
    SUITE_PASSED=$((SUITE_PASSED + 1))
    echo "ok $* ($SECONDS s)$SUITE_NOTE"
    SUITE_NOTE=''
}
failed() {
    SUITE_FAILED=$((SUITE_FAILED + 1))
    echo "FAILED $* ($SECONDS s)"
}
skip() {
    SUITE_SKIPPED=$((SUITE_SKIPPED + 1))
    echo "skipped $1: $2"
}

check() {
    local name=$1
    shift
    if "$@" >"$MQ_TMP/out" 2>&1; then
        ok "$name"
    else
        failed "$name"
        tail -n 60 "$MQ_TMP/out"
    fi
}

until_() {
    local end=$((SECONDS + $1))
    shift
    while ! "$@"; do
        [[ $SECONDS -le $end ]] || return 1
        sleep 0.2
    done
}

ends() {
    local want=$1 code
    shift
    if [[ $(type -t "$1") == file ]]; then set -- timeout 30 "$@"; fi
    "$@" </dev/null
    code=$?
    [[ $code -eq $want ]] || { echo "exit code $code, not $want: $*"; return 1; }
}
