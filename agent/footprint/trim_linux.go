package footprint

import (
	"bytes"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Trim gives back the pages of the program's code that are not in use right now.
func Trim() error {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("looking for the program's file: %w", err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return fmt.Errorf("reading what is mapped: %w", err)
	}
	for line := range bytes.Lines(maps) {
		var from, to uintptr
		var rights string
		if _, err := fmt.Sscanf(string(line), "%x-%x %s", &from, &to, &rights); err != nil || rights != "r-xp" || !bytes.HasSuffix(bytes.TrimSpace(line), []byte(" "+exe)) {
			continue
		}
		if _, _, e := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED); e != 0 {
			return fmt.Errorf("unmapping code: %w", e)
		}
	}
	return nil
}
