/* The version of all programs; CMakeLists.txt says the same. */
#ifndef MQ_BASE_VERSION_H
#define MQ_BASE_VERSION_H

#define MAILQUORUM_VERSION "0.1.0"

#endif
