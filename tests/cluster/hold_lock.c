/* hold_lock FILE: takes a write lock (fcntl) on the whole file, says "held", and keeps it until it is killed: what a hung imap does. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = argc == 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0 || fcntl(fd, F_SETLKW, &lock) != 0) {
        perror("hold_lock");
        return 1;
    }
    printf("held\n");
    fflush(stdout);
    for (;;) {
        pause();
    }
}
