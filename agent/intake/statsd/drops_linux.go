package statsd

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// dropped is how many datagrams the kernel had no room for in the socket's buffer. /proc/self/net/udp
// tells, by the socket's inode; 0 where it does not.
func dropped(conn *net.UDPConn) (n uint64) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	var st syscall.Stat_t
	if raw.Control(func(fd uintptr) { err = syscall.Fstat(int(fd), &st) }) != nil || err != nil {
		return 0
	}
	inode := fmt.Append(nil, st.Ino)
	for _, path := range []string{"/proc/self/net/udp", "/proc/self/net/udp6"} {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for row := range bytes.Lines(text) {
			// sl local rem st queues timer retransmits uid timeout inode ref pointer drops
			f := bytes.Fields(row)
			if len(f) < 13 || !bytes.Equal(f[9], inode) {
				continue
			}
			n, _ = strconv.ParseUint(string(f[12]), 10, 64)
			return n
		}
	}
	return 0
}
