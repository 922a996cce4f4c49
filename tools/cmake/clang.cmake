# The clang of this machine, whatever Debian calls it: `clang`, or the newest of clang-NN (14 on Debian 12).
find_program(MQ_CLANG NAMES clang clang-21 clang-20 clang-19 clang-18 clang-17 clang-16 clang-15 clang-14)
if(NOT MQ_CLANG)
  message(FATAL_ERROR "no clang found. What to do: run tools/install-deps.sh test")
endif()
set(CMAKE_C_COMPILER ${MQ_CLANG})
