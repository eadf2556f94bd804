/* Looks a name up as musl does: its addresses, each with the name that it has in turn. */
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int count, char **words)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all, *one;
	char address[64], name[256];
	int failed = count == 2 ? getaddrinfo(words[1], 0, &hints, &all) : EAI_FAIL;
	if (failed) {
		puts(gai_strerror(failed));
		return 2;
	}
	for (one = all; one; one = one->ai_next) {
		getnameinfo(one->ai_addr, one->ai_addrlen, address, sizeof address, 0, 0, NI_NUMERICHOST);
		failed = getnameinfo(one->ai_addr, one->ai_addrlen, name, sizeof name, 0, 0, NI_NAMEREQD);
		printf("%s %s\n", address, failed ? "-" : name);
	}
	return 0;
}
