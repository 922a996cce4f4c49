#!/bin/bash
# beside etcd 3.7.3, five rounds: at 256 clients >= 5x its puts for message rows, >= 3x for random keys, <= 0.10 of its memory
set -uo pipefail
exec tests/bench/versus-etcd "$@"
